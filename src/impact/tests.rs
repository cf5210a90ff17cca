//! What comparisons see, on policies where the answer is plain.
