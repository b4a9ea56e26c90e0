"""Refinement: one delivered record (all text) becomes one typed, standardised record, and is routed by the contract's rules.

Pure functions of the record and of the code lists in catalog/codes: no Spark, no clock, no network. `registration.refine` is
the whole for the feed registration_subjects; `batches.refine_batches` is the same for Arrow batches.
"""
