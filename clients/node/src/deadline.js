// The one moment by which everything about a question is over, on the monotonic clock.

/** Starts a deadline of `ms` milliseconds. Clear it when it is no longer waited for. */
export function startDeadline(ms) {
  const end = performance.now() + ms;
  let whenOver = () => {};
  // A timer counts from when the event loop last looked at the clock, which after long work is a while ago.
  const look = () => {
    const left = end - performance.now();
    if (left <= 0) whenOver();
    else timer = setTimeout(look, Math.ceil(left));
  };
  let timer = setTimeout(look, ms);
  return {
    isOver: () => performance.now() >= end,
    /** Sets what is called when it is over. */
    onOver: (callback) => (whenOver = callback),
    clear: () => clearTimeout(timer),
    error: () => new Error(`no answer within ${ms} ms`),
  };
}
