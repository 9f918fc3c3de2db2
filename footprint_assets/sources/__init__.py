"""Sources: vendor files become checked records and typed columns. Nothing here knows the lake or Dagster.

``envelope`` opens plain and zstd files and proves that every frame closed; ``metadata`` reads the DBN header;
``records`` knows the wire layouts of DBN 1, 2 and 3; ``checks`` holds the row rules; ``dbn`` streams a file through
them; ``instruments`` says which symbol an instrument id had on a day; ``columns`` turns records into the columns of
the bronze tables; ``catalog`` lists a drop folder. Every refusal is a ``SourceError`` that names file, offset, rule
and remedy. ``docs/sources.md`` holds the table of all rules.
"""
