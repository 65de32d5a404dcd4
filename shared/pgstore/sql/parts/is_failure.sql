-- Whether the record m of a move is of a failure. It is one of a file version.
m.state <> 'leased' AND m.state <> 'migrated'
