-- Regions are data with versions: what a region was at a time, and who made it that, stays. The role of the service adds versions; it
-- changes and deletes none.
CREATE TABLE scheduling.region_versions (
  region       text COLLATE "C" NOT NULL,
  version      bigint NOT NULL CHECK (version > 0),
  jurisdiction text NOT NULL CHECK (jurisdiction ~ '^[a-z]{2}$'),
  display_name text NOT NULL CHECK (char_length(display_name) <= 128),
  maker        text NOT NULL CHECK (maker IN ('operator', 'configuration')),
  trace_id     text NOT NULL CHECK (octet_length(trace_id) <= 32),
  create_time  timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (region, version)
);
REVOKE UPDATE, DELETE ON scheduling.region_versions FROM allod_scheduling;

-- Where a node says itself that it stands; empty: it has not joined since that is asked.
ALTER TABLE scheduling.nodes ADD COLUMN jurisdiction text NOT NULL DEFAULT '';
