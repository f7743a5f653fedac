//! What the ledger must never do, on a simulated disk.
