"""The whole platform on one machine: PostgreSQL, Temporal, an S3 gateway, the API and the worker as one command."""
