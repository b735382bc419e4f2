"""scikit-learn: a pipeline in this process or in Python workers."""
