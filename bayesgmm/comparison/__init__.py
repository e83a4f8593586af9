"""Where maximum likelihood meets Bayes: the tables, the sentences and the report."""
