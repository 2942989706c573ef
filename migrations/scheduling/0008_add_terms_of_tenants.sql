-- What tenancy said of each tenant last, so that a scheduler that starts while tenancy is away goes on as before. No rows: it was
-- never told anything, and waits. No tenant's data.
CREATE TABLE scheduling.tenant_terms (
  id        uuid PRIMARY KEY,
  active    boolean NOT NULL,
  weight    integer NOT NULL CHECK (weight BETWEEN 1 AND 1000),
  residency text[] NOT NULL
);

-- An instance that a rule forbids is stopped, and says which.
ALTER TABLE scheduling.instances
  DROP CONSTRAINT instances_state_check,
  ADD CONSTRAINT instances_state_check CHECK (state IN ('provisioning', 'ready', 'failing', 'deleting', 'stopped')),
  ADD COLUMN reason text NOT NULL DEFAULT '';
