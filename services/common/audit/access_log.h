// Writes into the tenants' audit logs what changes nothing: who was refused (in the log of the caller's own tenant,
// never in that of the tenant that was asked about) and what of a tenant's operators have read. access_tally.h says how
// much of it. An operator's read never begins a log, so that none is made of a tenant that does not exist. A call never
// waits for it: what is not written yet when the process is killed, of a minute at most, is lost; a process that is
// asked to stop writes it.
//
// Has a thread from Start() to Stop(), and should have a pool of its own, with one connection: no crowd of calls keeps
// it from writing, and it keeps none from reading. A tenant whose log cannot be written keeps no other waiting.
// Thread-safe.
#pragma once

#include <mutex>
#include <string>

#include "services/common/audit/access_tally.h"
#include "services/common/audit/pg_log.h"
#include "services/common/clock.h"
#include "services/common/owned_thread.h"
#include "services/common/rpc/access_observer.h"

namespace allod::audit {

class AccessLog final : public AccessObserver {
 public:
  // All outlive it.
  AccessLog(PgPool& pool, std::string service, const Clock& clock)
      : pool_(pool), service_(std::move(service)), log_(service_), clock_(clock) {}
  ~AccessLog() override { Stop(); }

  void OnRefused(const Asked& asked, const Error& error) override;
  void OnAnswered(const Asked& asked) override;
  // What is told by somebody else than a call: of `access.tenant`, which there must be.
  void Record(Access access);

  void Start();
  void Stop();  // writes what there is; idempotent
  // One round. The error is the database's; what could not be written waits for the next. `all`: what is not due too.
  Status WriteDue(bool all = false);

 private:
  void Note(std::string tenant, const Asked& asked, Outcome outcome, std::string reason);
  Status Write(const std::string& tenant, const std::vector<AccessTally::Due>& due);
  void Loop(const std::stop_token& stop);

  PgPool& pool_;
  const std::string service_;
  const PgLog log_;
  const Clock& clock_;
  std::mutex mutex_;  // of the tally
  AccessTally tally_;
  OwnedThread thread_;
};

}  // namespace allod::audit
