//! The threads that compile: each has a stack that carries every text within the limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Builder};

use super::limits::COMPILE_STACK;
use crate::model::Finding;

/// Runs something on a thread whose stack carries every text within the limits.
pub(super) fn on_a_big_stack<T: Send>(
    work: impl FnOnce() -> Result<T, Vec<Finding>> + Send,
) -> Result<T, Vec<Finding>> {
    thread::scope(|scope| {
        let thread = big_stack()
            .spawn_scoped(scope, work)
            .map_err(|error| failed(format!("no thread to compile on: {error}")))?;
        thread.join().unwrap_or_else(|_| Err(stopped()))
    })
}

/// Does the same with many things, this thread and others each taking the next: what came of them, in
/// their order. To be called on a big stack, which the others have too.
///
/// # Errors
/// One of the threads stopped in the middle.
pub(super) fn on_several<T: Sync, R: Send>(
    threads: usize,
    things: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Result<Vec<R>, Vec<Finding>> {
    let next = AtomicUsize::new(0);
    let share = || {
        let mut done = Vec::new();
        loop {
            let position = next.fetch_add(1, Ordering::Relaxed);
            let Some(thing) = things.get(position) else { return done };
            done.push((position, work(thing)));
        }
    };
    let others = threads.min(things.len()).saturating_sub(1);
    let mut done = thread::scope(|scope| {
        // With fewer threads it takes longer.
        let others: Vec<_> =
            (0..others).filter_map(|_| big_stack().spawn_scoped(scope, share).ok()).collect();
        let mut done = share();
        for other in others {
            done.extend(other.join().map_err(|_| stopped())?);
        }
        Ok::<_, Vec<Finding>>(done)
    })?;
    done.sort_unstable_by_key(|(position, _)| *position);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

fn big_stack() -> Builder {
    Builder::new().name("compile".to_owned()).stack_size(COMPILE_STACK)
}

fn stopped() -> Vec<Finding> {
    failed("the compiler stopped in the middle".to_owned())
}

fn failed(what: String) -> Vec<Finding> {
    vec![Finding::error(&Arc::from("palisade"), "internal", what)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_do_comes_in_the_order_of_the_things() {
        let things: Vec<usize> = (0..1_000).collect();
        for threads in [0, 1, 2, 7] {
            let doubled = on_several(threads, &things, |thing| thing * 2).unwrap();
            assert!(
                doubled.iter().enumerate().all(|(position, double)| *double == position * 2),
                "{threads}"
            );
            assert_eq!(doubled.len(), things.len());
        }
    }

    #[test]
    fn a_thread_that_stops_in_the_middle_is_a_finding() {
        let found = on_a_big_stack(|| on_several(2, &[1, 2, 3], |thing| assert_eq!(*thing, 0))).unwrap_err();
        assert_eq!(found[0].code, "internal");
    }
}
