//! Histories that the model found to go wrong, once, each as a plain test.
