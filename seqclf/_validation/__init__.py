"""What users may hand in, checked and brought into one form."""
