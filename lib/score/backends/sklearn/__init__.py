"""The scikit-learn backend, whose pipeline runs in this process or in Python workers."""
