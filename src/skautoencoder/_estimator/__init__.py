"""What all estimators share: parameters, validation, units, the plan of a fit."""
