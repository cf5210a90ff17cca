//! What conditions are made of, piece by piece.

use std::sync::Arc;

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

/// The parts of a condition, each of which must let pass: what `&&` joins in a `when`, what `||`
/// joins in an `unless`.
pub(super) fn parts(clause: &Clause) -> Vec<Arc<Expr>> {
    match clause {
        Clause::When(condition) => joined(condition, BinaryOp::And),
        Clause::Unless(condition) => joined(condition, BinaryOp::Or),
    }
}

/// The sides of such a part, one of which is enough: what the other of the two joins.
pub(super) fn sides(clause: &Clause, part: &Arc<Expr>) -> Vec<Arc<Expr>> {
    match clause {
        Clause::When(_) => joined(part, BinaryOp::Or),
        Clause::Unless(_) => joined(part, BinaryOp::And),
    }
}

fn joined(mut rest: &Arc<Expr>, joint: BinaryOp) -> Vec<Arc<Expr>> {
    let mut joined = Vec::new();
    while let Expr::BinaryOp { op, left, right } = &**rest
        && *op == joint
    {
        joined.push(Arc::clone(right));
        rest = left;
    }
    joined.push(Arc::clone(rest));
    joined.reverse();
    joined
}

/// Whether an expression looks at nothing of the request.
pub(super) fn is_closed(expression: &Expr) -> bool {
    !pieces(expression).any(|piece| matches!(piece, Expr::Var(_)))
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
    let (holder, name) = if let Expr::GetAttr { expr, attr } = expression {
        (expr, attr)
    } else if let Expr::HasAttr { expr, attrs } = expression {
        (expr, attrs.first())
    } else {
        return None;
    };
    is_principal(holder).then_some(name)
}

/// The strings that an expression asks for in a set: those of `set.contains("a")` and of
/// `set.containsAny(["a", "b"])`, in either order.
pub(super) fn asked_of(expression: &Expr, is_set: impl Fn(&Expr) -> bool) -> Vec<&str> {
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

/// The string that a literal is, or the strings that a set of literals holds.
fn strings(expression: &Expr) -> Vec<&str> {
    let elements = if let Expr::Set(elements) = expression {
        elements.iter().map(AsRef::as_ref).collect()
    } else {
        vec![expression]
    };
    let literals = elements.into_iter().filter_map(|element| {
        let Expr::Literal(Literal::String(text)) = element else { return None };
        Some(text.as_str())
    });
    literals.collect()
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
        Expr::Literal(_) | Expr::Var(_) | Expr::Slot(_) | Expr::Unknown { .. } | _ => {}
    }
}
