//! What the engine makes of questions, from sources in memory.
