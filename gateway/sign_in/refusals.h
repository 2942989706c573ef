// Tells the tenancy service of people who were refused, for the audit log of the tenant with whose provider they wanted
// to sign in. Nobody waits for it: what cannot be told at once, or within seconds, is in the gateway's own log only.
// Thread-safe.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "allod/tenancy/v1/session.grpc.pb.h"
#include "gateway/federation/trust_table.h"
#include "services/common/trace.h"

namespace allod::gateway::sign_in {

class Refusals {
 public:
  // That are being told of at the same time.
  static constexpr int kUnderWayMax = 64;

  // `table` must outlive this.
  Refusals(const std::shared_ptr<grpc::Channel>& tenancy, const federation::TrustTable& table);
  ~Refusals();  // cancels what is under way
  Refusals(const Refusals&) = delete;

  struct Refusal {
    std::string provider;  // full name
    std::string subject;   // of a token that was genuine; else empty
    std::string address;
  };
  // Of what concerns no tenant (a provider that there is not), and of what is no refusal of who asks (a service that is
  // away, too many attempts), nothing is told.
  void Tell(const Refusal& refusal, const Error& error, const Trace& trace);

 private:
  struct Telling;

  const std::unique_ptr<tenancy::v1::SessionService::Stub> stub_;
  const federation::TrustTable& table_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<Telling*> under_way_;
};

}  // namespace allod::gateway::sign_in
