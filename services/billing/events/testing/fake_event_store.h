// Event sinks in memory, for tests of their service. Nothing is relayed.
#pragma once

#include <map>
#include <mutex>

#include "services/billing/events/event_store.h"

namespace allod::billing::events {

class FakeEventStore : public EventStore {
 public:
  Result<EventSink> CreateSink(const EventSink& wanted, const RequestId& /*request*/) override {
    const std::scoped_lock lock(mutex_);
    const auto [at, made] = sinks_.try_emplace(wanted.key(), wanted);
    if (!made) return Fail(Code::kAlreadyExists, "NAME_TAKEN", "taken");
    at->second.version = 1;
    return at->second;
  }
  Result<EventSink> GetSink(TenantId tenant, const std::string& id) override {
    const std::scoped_lock lock(mutex_);
    return Find({tenant, id});
  }
  Result<std::vector<EventSink>> ListSinks(TenantId tenant, const std::string& after, int limit) override {
    const std::scoped_lock lock(mutex_);
    std::vector<EventSink> out;
    for (auto at = sinks_.upper_bound({tenant, after}); at != sinks_.end() && at->first.tenant == tenant; ++at) {
      if (out.size() < static_cast<std::size_t>(limit)) out.push_back(at->second);
    }
    return out;
  }
  Result<EventSink> UpdateSink(const EventSink& wanted, const std::string& etag,
                               const RequestId& /*request*/) override {
    const std::scoped_lock lock(mutex_);
    ALLOD_TRY(EventSink sink, Find(wanted.key()));
    if (EtagOf(sink) != etag) return Fail(Code::kAborted, "ETAG_MISMATCH", "changed");
    sink.display_name = wanted.display_name;
    sink.url = wanted.url;
    sink.kinds = wanted.kinds;
    sink.disabled = wanted.disabled;
    ++sink.version;
    return sinks_[wanted.key()] = sink;
  }
  Result<EventSink> RotateSecret(const SinkKey& key, const Uuid& salt, Time previous_expire_time,
                                 const RequestId& /*request*/) override {
    const std::scoped_lock lock(mutex_);
    ALLOD_TRY(EventSink sink, Find(key));
    sink.previous_salt = std::exchange(sink.salt, salt);
    sink.previous_expire_time = previous_expire_time;
    ++sink.version;
    return sinks_[key] = sink;
  }
  Status DeleteSink(const SinkKey& key) override {
    const std::scoped_lock lock(mutex_);
    if (sinks_.erase(key) == 0) return NotFound("no such sink");
    return {};
  }
  Result<std::int64_t> Replay(const SinkKey& key, std::int64_t sequence) override {
    const std::scoped_lock lock(mutex_);
    ALLOD_CHECK_OK(Find(key));
    return sequence;
  }
  Result<std::vector<SinkKey>> DueSinks(const std::optional<SinkKey>& /*after*/, int /*limit*/) override {
    return std::vector<SinkKey>();
  }
  Result<std::optional<Pending>> Take(const SinkKey& /*key*/) override { return std::optional<Pending>(); }
  Result<bool> Delivered(const SinkKey& /*key*/, Position /*begin*/, Position /*end*/, bool /*sent*/) override {
    return false;
  }
  Result<bool> Failed(const SinkKey& /*key*/, const Failure& /*failure*/) override { return false; }
  Result<std::vector<TenantId>> TenantsToTrim(std::optional<TenantId> /*after*/, int /*limit*/) override {
    return std::vector<TenantId>();
  }
  Result<int> Trim(TenantId /*tenant*/, int /*limit*/) override { return 0; }

 private:
  Result<EventSink> Find(const SinkKey& key) const {
    const auto found = sinks_.find(key);
    if (found == sinks_.end()) return NotFound("no such sink");
    return found->second;
  }

  std::mutex mutex_;
  std::map<SinkKey, EventSink> sinks_;
};

}  // namespace allod::billing::events
