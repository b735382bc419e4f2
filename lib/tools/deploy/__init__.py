"""What a job needs whose driver starts on another machine: ``--deploy-mode cluster`` on YARN."""
