"""What others would do the same job with; what each of them leaves out is said in its module and in README.md."""
