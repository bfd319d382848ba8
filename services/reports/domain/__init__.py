"""What a figure means: periods, stages, estimators, definitions. Pure; knows no table and no wire."""
