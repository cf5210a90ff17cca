// The one moment by which everything about a question is over, on the monotonic clock.

/** Starts a deadline of `ms` milliseconds. Clear it when it is no longer waited for. */
export function startDeadline(ms) {
  const end = performance.now() + ms;
  let whenOver = () => {};
  const timer = setTimeout(() => whenOver(), ms);
  return {
    /** Says so at once, where the timer of a process that was frozen or busy is late. */
    isOver: () => performance.now() >= end,
    /** Sets what is called when it is over. */
    onOver: (callback) => (whenOver = callback),
    clear: () => clearTimeout(timer),
    error: () => new Error(`no answer within ${ms} ms`),
  };
}
