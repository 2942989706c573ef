// Erases what tells of one person in the audit log of tenancy: values and salts of personal details
// (services/common/audit/entry.h). The chain stays whole, and says that it was done. Thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "services/common/audit/pg_log.h"
#include "services/common/pg/pool.h"
#include "services/tenancy/session.h"

namespace allod::tenancy {

struct Erasure {
  std::int64_t erased = 0;  // values
  bool more = false;        // there may be some left
};

class AuditErasure {
 public:
  explicit AuditErasure(PgPool& pool) : pool_(pool) {}

  // Of at most `batch` entries, in one transaction, with an entry about it unless there was nothing. NOT_FOUND for the
  // tenant.
  //
  // Of entries about a member, which may be gone; `member` is its id.
  Result<Erasure> EraseMember(const std::string& tenant, const std::string& member, int batch);
  // Of entries about what a person began and ended, or was refused to begin. Who it is stands nowhere afterwards.
  Result<Erasure> ErasePerson(const std::string& tenant, const Person& person, int batch);

 private:
  PgPool& pool_;
  const audit::PgLog audit_{"tenancy"};
};

}  // namespace allod::tenancy
