// Whose tokens tenants trust and what their rules grant, in memory, and who a workload's token stands for. Thread-safe.
//
// Fed by WatchIdentities of the tenancy service: of each tenant all, then of each that changes all again. While
// the stream is broken the last state stands. A token holds as long as the rule and the provider that it was given by
// do and the rule asks the same of claims: what was deleted, disabled or narrowed since no longer counts, and neither
// does anything of a suspended tenant.
#pragma once

#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "allod/tenancy/v1/identity.pb.h"
#include "gateway/access/authenticator.h"
#include "gateway/federation/workload_token.h"
#include "services/common/clock.h"
#include "services/common/rpc/watch_loop.h"

namespace allod::gateway::federation {

struct Provider {
  std::string name;
  std::string issuer;
  std::vector<std::string> audiences;
  bool disabled = false;
};

struct Rule {
  struct Match {
    std::string claim;
    std::string value;
    bool is_prefix = false;
  };
  std::string name;
  std::string grounds;   // which rule of this name it is, and what it asks of claims: tokens hold for the same only
  std::string project;   // `tenants/{tenant}/projects/{project}`
  std::string provider;  // its name
  std::vector<Match> claims;
  bool inference = false;
  bool portal = false;
  Roles roles;
  std::chrono::minutes lifetime{0};
  bool disabled = false;
};

// Of one tenant. Never changes.
struct Trust {
  std::map<std::string, Provider, std::less<>> providers;  // by name
  std::map<std::string, Rule, std::less<>> rules;          // by name

  // The one whose `issuer` it is and that is not disabled; null if there is none.
  const Provider* ProviderOf(std::string_view issuer) const;
  // Null if there is none.
  const Provider* ProviderNamed(std::string_view name) const;
  const Rule* RuleNamed(std::string_view name) const;
};

class WorkloadTable final : public access::Authenticator {
 public:
  // Both outlive this.
  WorkloadTable(const WorkloadTokenSealer& sealer, const Clock& clock) : sealer_(sealer), clock_(clock) {}

  // A new stream begins: what follows up to `synced` replaces what was known.
  void BeginSnapshot();
  void Apply(const tenancy::v1::WatchIdentitiesResponse& message);
  // The stream broke: from now on there may be tenants and rules that are not known here.
  void EndStream();
  bool synced() const;

  // Of `tenants/{tenant}`; null for one that trusts nobody, or is suspended. UNAVAILABLE / IDENTITIES_NOT_SYNCED before
  // the first snapshot.
  Result<std::shared_ptr<const Trust>> Find(std::string_view tenant) const;

  // UNAUTHENTICATED / INVALID_TOKEN, TOKEN_EXPIRED, TOKEN_REVOKED; UNAVAILABLE / IDENTITIES_NOT_SYNCED before the first
  // snapshot, and for a rule that is not known while the stream is broken.
  // From wherever it comes.
  Result<access::Principal> Authenticate(std::string_view authorization,
                                         const std::optional<IpAddress>& client) const override;

 private:
  using Tenants = std::map<std::string, std::shared_ptr<const Trust>, std::less<>>;  // by name

  const WorkloadTokenSealer& sealer_;
  const Clock& clock_;
  mutable std::shared_mutex mutex_;
  bool synced_ = false;
  bool current_ = false;
  bool in_snapshot_ = false;
  Tenants tenants_;
  Tenants snapshot_;  // being received
};

// Feeds `table`, which must outlive the loop.
std::unique_ptr<WatchLoop> WatchIdentities(const std::shared_ptr<grpc::Channel>& tenancy, WorkloadTable& table);

}  // namespace allod::gateway::federation
