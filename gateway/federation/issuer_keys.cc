#include "gateway/federation/issuer_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "services/common/jose/strict_json.h"
#include "services/common/log.h"

namespace allod::gateway::federation {
namespace {

using std::chrono::milliseconds;

constexpr char kDiscoveryPath[] = "/.well-known/openid-configuration";
constexpr jose::JsonLimits kDiscoveryLimits{.depth_max = 6, .values_max = 2048};
constexpr std::size_t kUrlBytesMax = 2048;
constexpr milliseconds kBusyRetry(1000);

std::unexpected<Error> Unavailable(std::string message, milliseconds retry_after) {
  Error error{Code::kUnavailable, "ISSUER_UNAVAILABLE", std::move(message)};
  error.retry_after = retry_after;
  return std::unexpected(std::move(error));
}

bool IsPrintable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
}

std::string DiscoveryUrl(std::string issuer) {
  if (issuer.ends_with('/')) issuer.pop_back();
  return issuer + kDiscoveryPath;
}

struct Discovered {
  std::string keys_url;
  Issuer issuer;  // without its keys
};

Result<Discovered> ReadDiscovery(const std::string& issuer, std::string_view document) {
  const auto misconfigured = [&](std::string_view what) {
    return FailedPrecondition("ISSUER_MISCONFIGURED",
                              fmt::format("the discovery document of {} cannot be used: {}", issuer, what));
  };
  const auto json = jose::ParseStrictObject(document, kDiscoveryLimits);
  if (!json) return misconfigured(json.error().message);
  const auto text = [&](const char* name) {
    const auto found = json->find(name);
    return found != json->end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const auto url = [&](const char* name) {
    std::string out = text(name);
    return out.size() > kUrlBytesMax || !IsPrintable(out) ? std::string() : out;
  };
  if (text("issuer") != issuer) return misconfigured("it is another issuer's");
  Discovered out;
  out.keys_url = url("jwks_uri");
  if (out.keys_url.empty()) return misconfigured("it has no jwks_uri");
  out.issuer.authorization_endpoint = url("authorization_endpoint");
  out.issuer.token_endpoint = url("token_endpoint");
  const auto names = json->find("authorization_response_iss_parameter_supported");
  out.issuer.names_itself = names != json->end() && *names == true;
  return out;
}

}  // namespace

struct IssuerKeys::Impl : std::enable_shared_from_this<Impl> {
  struct Entry {
    KnownIssuer keys;
    SteadyTime fetched;
    std::optional<SteadyTime> attempted;
    std::optional<Error> failure;  // of the last attempt
    bool is_fetching = false;
    std::vector<Done> waiters;
    SteadyTime used;
  };

  Impl(Fetcher& a_fetcher, KeysLimits some_limits, Now a_clock)
      : fetcher(a_fetcher), limits(some_limits), now(std::move(a_clock)) {}

  // With the lock held:
  Entry& FindOrMake(const std::string& issuer) {
    if (!entries.contains(issuer) && entries.size() >= kIssuersMax) MakeRoom();
    Entry& entry = entries[issuer];
    entry.used = now();
    return entry;
  }
  void MakeRoom() {
    auto oldest = entries.end();
    for (auto it = entries.begin(); it != entries.end(); ++it) {
      if (!it->second.is_fetching && (oldest == entries.end() || it->second.used < oldest->second.used)) oldest = it;
    }
    if (oldest != entries.end()) entries.erase(oldest);
  }
  milliseconds UntilNextAttempt(const Entry& entry) const {
    if (!entry.attempted) return milliseconds(0);
    return std::max(milliseconds(0), std::chrono::ceil<milliseconds>(*entry.attempted + limits.interval_min - now()));
  }
  // Whether a fetch is in progress now; it was begun if it may.
  bool BeginFetch(const std::string& issuer, const std::string& tenant, Entry& entry,
                  std::unique_lock<std::mutex>& lock) {
    if (entry.is_fetching) return true;
    if (UntilNextAttempt(entry) > milliseconds(0) || fetches[tenant] >= kFetchesPerTenantMax) return false;
    ++fetches[tenant];
    entry.is_fetching = true;
    entry.attempted = now();
    lock.unlock();
    Discover(issuer, tenant);
    return true;
  }

  void Discover(const std::string& issuer, const std::string& tenant) {
    fetcher.Fetch({DiscoveryUrl(issuer)}, [self = shared_from_this(), issuer, tenant](Result<std::string> document) {
      if (!document) return self->Finish(issuer, tenant, std::unexpected(document.error()));
      const Result<Discovered> found = ReadDiscovery(issuer, *document);
      if (!found) return self->Finish(issuer, tenant, std::unexpected(found.error()));
      self->fetcher.Fetch(
          {found->keys_url}, [self, issuer, tenant, known = found->issuer](const Result<std::string>& keys) {
            if (!keys) return self->Finish(issuer, tenant, std::unexpected(keys.error()));
            Result<jose::KeySet> parsed = jose::KeySet::Parse(*keys);
            if (!parsed) {
              return self->Finish(issuer, tenant,
                                  FailedPrecondition("ISSUER_MISCONFIGURED", fmt::format("the keys of {}: {}", issuer,
                                                                                         parsed.error().message)));
            }
            auto whole = std::make_shared<Issuer>(known);
            whole->keys = *std::move(parsed);
            self->Finish(issuer, tenant, KnownIssuer(std::move(whole)));
          });
    });
  }

  void Finish(const std::string& issuer, const std::string& tenant, Result<KnownIssuer> result) {
    if (result) {
      Log(LogLevel::kInfo, "fetched the keys of an issuer",
          {{"issuer", issuer}, {"keys", std::to_string((*result)->keys.size())}});
    } else {
      Log(LogLevel::kWarning, "cannot fetch the keys of an issuer",
          {{"issuer", issuer},
           {"tenant", tenant},
           {"reason", result.error().reason},
           {"error", result.error().message}});
    }
    std::vector<Done> waiters;
    {
      const std::scoped_lock lock(mutex);
      if (--fetches[tenant] == 0) fetches.erase(tenant);
      Entry& entry = entries[issuer];
      entry.is_fetching = false;
      waiters.swap(entry.waiters);
      if (result) {
        entry.keys = *result;
        entry.fetched = now();
        entry.failure.reset();
      } else {
        entry.failure = result.error();
        result = Refusal(issuer, entry);
      }
    }
    for (const Done& done : waiters) done(result);
  }

  // Why there are no keys, to whoever asked.
  std::unexpected<Error> Refusal(const std::string& issuer, const Entry& entry) const {
    if (entry.failure && entry.failure->code == Code::kFailedPrecondition) return std::unexpected(*entry.failure);
    return Unavailable(fmt::format("the keys of {} cannot be fetched now; try again in a while", issuer),
                       std::max(UntilNextAttempt(entry), kBusyRetry));
  }

  Fetcher& fetcher;
  const KeysLimits limits;
  const Now now;
  std::mutex mutex;
  std::map<std::string, Entry> entries;
  std::map<std::string, int> fetches;  // in progress, by tenant
};

IssuerKeys::IssuerKeys(Fetcher& fetcher, KeysLimits limits, Now now)
    : impl_(std::make_shared<Impl>(fetcher, limits, std::move(now))) {}

IssuerKeys::~IssuerKeys() = default;

void IssuerKeys::Get(const std::string& issuer, const std::string& tenant, Done done) {
  std::unique_lock lock(impl_->mutex);
  Impl::Entry& entry = impl_->FindOrMake(issuer);
  const auto age = impl_->now() - entry.fetched;
  if (entry.keys && age < impl_->limits.age_max) {
    const KnownIssuer keys = entry.keys;
    if (age >= impl_->limits.fresh) impl_->BeginFetch(issuer, tenant, entry, lock);
    if (lock.owns_lock()) lock.unlock();
    return done(keys);
  }
  if (entry.waiters.size() >= kWaitersMax) {
    lock.unlock();
    return done(Unavailable(fmt::format("too many wait for the keys of {}", issuer), kBusyRetry));
  }
  // The waiter stands there before the fetch begins, which may end at once.
  entry.waiters.push_back(std::move(done));
  if (impl_->BeginFetch(issuer, tenant, entry, lock)) return;
  done = std::move(entry.waiters.back());
  entry.waiters.pop_back();
  const Error refusal = impl_->Refusal(issuer, entry).error();
  lock.unlock();
  done(std::unexpected(refusal));
}

void IssuerKeys::GetNewer(const std::string& issuer, const std::string& tenant, const KnownIssuer& known, Done done) {
  std::unique_lock lock(impl_->mutex);
  Impl::Entry& entry = impl_->FindOrMake(issuer);
  if (entry.keys && entry.keys != known) {
    const KnownIssuer keys = entry.keys;
    lock.unlock();
    return done(keys);
  }
  const bool has_room = entry.waiters.size() < kWaitersMax;
  if (has_room) {
    entry.waiters.push_back(std::move(done));
    if (impl_->BeginFetch(issuer, tenant, entry, lock)) return;
    done = std::move(entry.waiters.back());
    entry.waiters.pop_back();
  }
  lock.unlock();
  done(Fail(Code::kUnauthenticated, "TOKEN_KEY_UNKNOWN", "the issuer has no key of the id in the token"));
}

}  // namespace allod::gateway::federation
