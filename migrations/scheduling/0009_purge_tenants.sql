-- Whether what a tenant has here is to be removed: its grace is over. Kept with the rest of what tenancy said, so that a scheduler that
-- starts while tenancy is away goes on removing.
ALTER TABLE scheduling.tenant_terms ADD COLUMN purge boolean NOT NULL DEFAULT false;
