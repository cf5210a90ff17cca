//! What conditions are made of, piece by piece.

use cedar_policy::pst::{BinaryOp, Clause, Expr, Literal, Template, Var};

/// Every expression in the conditions of a policy, outer ones before inner ones, in the order of
/// the text.
pub(super) fn of_conditions(policy: &Template) -> impl Iterator<Item = &Expr> {
    policy.clauses().iter().flat_map(|clause| pieces(condition(clause)))
}

/// What stands between the braces.
pub(super) fn condition(clause: &Clause) -> &Expr {
    match clause {
        Clause::When(expression) | Clause::Unless(expression) => expression,
    }
}

/// An expression and everything in it.
pub(super) fn pieces(root: &Expr) -> impl Iterator<Item = &Expr> {
    let mut open = vec![root];
    std::iter::from_fn(move || {
        let next = open.pop()?;
        let known = open.len();
        children(next, &mut open);
        open.get_mut(known..).unwrap_or_default().reverse();
        Some(next)
    })
}

/// Whether an expression is the variable `principal`.
pub(super) fn is_principal(expression: &Expr) -> bool {
    matches!(expression, Expr::Var(Var::Principal))
}

/// The attribute of the principal that an expression reads or asks for.
pub(super) fn principal_attribute(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::GetAttr { expr, attr } if is_principal(expr) => Some(attr),
        Expr::HasAttr { expr, attrs } if is_principal(expr) => Some(attrs.first()),
        _ => None,
    }
}

/// The strings that an expression asks for in a set: those of `set.contains("a")` and of
/// `set.containsAny(["a", "b"])`, in either order.
pub(super) fn asked_of<'e>(expression: &'e Expr, is_set: impl Fn(&Expr) -> bool) -> Vec<&'e str> {
    let Expr::BinaryOp { op, left, right } = expression else { return Vec::new() };
    if !matches!(op, BinaryOp::Contains | BinaryOp::ContainsAll | BinaryOp::ContainsAny) {
        return Vec::new();
    }
    match (is_set(left), is_set(right)) {
        (true, false) => strings(right),
        (false, true) => strings(left),
        _ => Vec::new(),
    }
}

fn strings(expression: &Expr) -> Vec<&str> {
    let string = |expression: &'_ Expr| matches!(expression, Expr::Literal(Literal::String(_)));
    match expression {
        Expr::Literal(Literal::String(text)) => vec![text],
        Expr::Set(elements) if elements.iter().all(|element| string(element)) => {
            elements.iter().flat_map(|element| strings(element)).collect()
        }
        _ => Vec::new(),
    }
}

fn children<'e>(expression: &'e Expr, into: &mut Vec<&'e Expr>) {
    match expression {
        Expr::UnaryOp { expr, .. }
        | Expr::GetAttr { expr, .. }
        | Expr::HasAttr { expr, .. }
        | Expr::Like { expr, .. } => into.push(expr),
        Expr::BinaryOp { left, right, .. } => into.extend([&**left, &**right]),
        Expr::Is { expr, in_expr, .. } => {
            into.push(expr);
            into.extend(in_expr.as_deref());
        }
        Expr::IfThenElse { cond, then_expr, else_expr } => {
            into.extend([&**cond, &**then_expr, &**else_expr]);
        }
        Expr::Set(elements) => into.extend(elements.iter().map(AsRef::as_ref)),
        Expr::Record(members) => into.extend(members.values().map(AsRef::as_ref)),
        // Literals, variables and slots hold nothing.
        _ => {}
    }
}
