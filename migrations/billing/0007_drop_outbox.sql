-- Nothing ever read it, and it grew with every request.
DROP TABLE billing.outbox;
