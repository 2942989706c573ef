-- Whether people of a tenant above deleted it, who may bring it back; else it was an operator, who alone does.
ALTER TABLE tenancy.tenants ADD COLUMN deleted_from_above boolean NOT NULL DEFAULT false;
