-- When trackstore came: what was deleted before has its grace from then on.
(SELECT adopted_at FROM trackstore_adoption)
