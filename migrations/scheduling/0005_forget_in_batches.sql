-- What is read of a tenant's operations is a range of an index, however many it has.

-- The oldest that are done, to be forgotten a batch at a time.
CREATE INDEX operations_done ON scheduling.operations (tenant_id, done_time) WHERE done;
-- The newest of an instance, an open one first: ids are made in the order of time.
CREATE INDEX operations_newest ON scheduling.operations (tenant_id, instance_id, done, id DESC);
