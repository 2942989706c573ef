// When gateways know of a key, and what they tell of its use.
#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "services/tenancy/testing/service_fixture.h"

namespace allod::tenancy::key_watchers_test {
namespace {

class KeyWatchersTest : public TenancyServiceTest {};

TEST_F(KeyWatchersTest, WatchersGetASnapshotThenCreationsAndRevocations) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  ASSERT_TRUE(CreateKey(Caller::Operator()));
  const auto context = MakeStreamContext(Caller::Service("gateway"));
  context->set_wait_for_ready(true);
  const auto stream = key_stub_->WatchApiKeys(context.get(), v1::WatchApiKeysRequest());
  v1::WatchApiKeysResponse message;
  std::vector<v1::WatchApiKeysResponse::Key> seen;
  const auto read = [&] {
    const bool more = stream->Read(&message);
    if (more) seen.insert(seen.end(), message.keys().begin(), message.keys().end());
    return more;
  };
  while (seen.empty()) ASSERT_TRUE(read());
  EXPECT_TRUE(message.synced());
  EXPECT_EQ(seen[0].tenant_uid(), Uuid::FromName("tenants/ke").ToString());
  EXPECT_EQ(seen[0].currency_code(), "KES");
  EXPECT_EQ(seen[0].digest().size(), 32u);

  const auto second = CreateKey(Caller::Operator());
  ASSERT_TRUE(second);
  while (seen.size() < 2) ASSERT_TRUE(read());
  EXPECT_EQ(seen[1].name(), second->api_key().name());

  v1::RevokeApiKeyRequest revoke;
  revoke.set_name(second->api_key().name());
  ASSERT_TRUE(CallUnary(*key_stub_, &KeyStub::RevokeApiKey, revoke, Caller::Tenant("ke"), 5s));
  while (seen.size() < 3) ASSERT_TRUE(read());
  EXPECT_EQ(seen[2].name(), second->api_key().name());
  EXPECT_TRUE(seen[2].revoked());
  feed_.Stop();
  while (stream->Read(&message)) continue;
  EXPECT_EQ(FromGrpc(stream->Finish()).reason, "SHUTTING_DOWN");
}

// An id of the greatest length there is.
std::string LongId(const std::string& id) { return id + std::string(63 - id.size(), 'x'); }

ApiKey LargestKey(const std::string& tenant, const std::string& project, int number) {
  ApiKey key{.tenant = tenant, .project = project, .kid = "kid" + std::to_string(number), .scopes = EveryScope()};
  key.roles = {Role::ROLE_ADMIN};
  for (std::size_t i = 0; i < kIpRangesPerKeyMax; ++i) {
    key.allowed_ip_ranges.push_back(
        *IpRange::Parse("range", "2001:db8:1234:5678:9abc:def0:1234:" + std::to_string(1000 + i)));
  }
  for (int i = 0; i < static_cast<int>(kInstancesPerKeyMax); ++i)
    key.allowed_instances.push_back(LongId("i" + std::to_string(i) + "-"));
  key.limits = {kRequestsPerMinuteMax, kTokensPerMinuteMax, kConcurrencyMax, true};
  return key;
}

TEST_F(KeyWatchersTest, TheLargestKeysAndLimitsFitIntoMessages) {
  const Limits most{kRequestsPerMinuteMax, kTokensPerMinuteMax, kConcurrencyMax, true};
  InstanceLimits of_instances;
  for (std::size_t i = 0; i < kInstanceLimitsPerProjectMax; ++i) {
    of_instances[LongId("i" + std::to_string(i) + "-")] = most;
  }
  // The first leaves just no place for the second in its message.
  const std::map<std::string, int> projects = {{LongId("a"), 60}, {LongId("b"), kProjectsPerTenantMax}};
  for (const auto& [tenant, count] : projects) {
    ASSERT_TRUE(store_.CreateTenant({.id = tenant, .display_name = "T", .currency_code = "KES", .limits = most}, {}));
    for (int i = 0; i < count; ++i) {
      Project project{.tenant = tenant, .id = LongId("p" + std::to_string(i) + "-"), .display_name = "P"};
      project.limits = most;
      project.instance_limits = of_instances;
      ASSERT_TRUE(store_.CreateProject(project, {}));
    }
  }
  for (int i = 0; i < 500; ++i) ASSERT_TRUE(store_.CreateApiKey(LargestKey(LongId("b"), LongId("p0-"), i), {}));
  ASSERT_TRUE(feed_.Refresh());

  const auto context = MakeStreamContext(Caller::Service("gateway"));
  context->set_wait_for_ready(true);
  const auto stream = key_stub_->WatchApiKeys(context.get(), v1::WatchApiKeysRequest());
  v1::WatchApiKeysResponse message;
  std::set<std::string> keys;
  std::map<std::string, int> limits;
  std::size_t most_bytes = 0;
  bool read = true;
  while (!message.synced() && (read = stream->Read(&message))) {
    most_bytes = std::max(most_bytes, message.ByteSizeLong());
    for (const auto& key : message.keys()) {
      keys.insert(key.kid());
      EXPECT_EQ(key.allowed_instances_size(), 64);
    }
    for (const auto& of_tenant : message.tenant_limits()) limits[of_tenant.tenant()] = of_tenant.projects_size();
  }
  if (!read) FAIL() << FromGrpc(stream->Finish()).message;
  context->TryCancel();
  EXPECT_EQ(keys.size(), 500U);
  EXPECT_EQ(limits, (std::map<std::string, int>{{"tenants/" + LongId("a"), 60},
                                                {"tenants/" + LongId("b"), kProjectsPerTenantMax}}));
  EXPECT_GT(most_bytes, 3U << 20) << "the largest limits of a tenant are one message";
}

// A gateway that applies what it is sent, and acknowledges it when it is let.
class Gateway {
 public:
  explicit Gateway(KeyStub& stub, bool acknowledges = true)
      : stub_(stub), acknowledges_(acknowledges), context_(MakeStreamContext(Caller::Service("gateway"))) {
    context_->set_wait_for_ready(true);
    thread_ = std::thread([this] { Run(); });
    while (!synced_) std::this_thread::sleep_for(1ms);
  }
  ~Gateway() {
    context_->TryCancel();
    thread_.join();
  }
  bool Knows(const std::string& name) const {
    const std::scoped_lock lock(mutex_);
    return keys_.contains(name);
  }
  bool Loses(const std::string& name) const {
    for (int i = 0; i < 5000 && Knows(name); ++i) std::this_thread::sleep_for(1ms);
    return !Knows(name);
  }
  void SetAcknowledges(bool acknowledges) {
    acknowledges_ = acknowledges;
    if (acknowledges) Acknowledge();
  }

 private:
  void Run() {
    v1::WatchApiKeysRequest request;
    request.set_watcher_id(id_);
    const auto stream = stub_.WatchApiKeys(context_.get(), request);
    v1::WatchApiKeysResponse message;
    while (stream->Read(&message)) {
      // As slow as a gateway that has other things to do.
      std::this_thread::sleep_for(5ms);
      {
        const std::scoped_lock lock(mutex_);
        for (const auto& key : message.keys()) {
          if (key.revoked()) keys_.erase(key.name());
          if (!key.revoked()) keys_.insert(key.name());
        }
      }
      if (!message.synced()) continue;
      applied_ = message.version();
      if (acknowledges_) Acknowledge();
      synced_ = true;
    }
    (void)stream->Finish();
  }
  void Acknowledge() {
    v1::AcknowledgeApiKeysRequest request;
    request.set_watcher_id(id_);
    request.set_version(applied_);
    const auto done = CallUnary(stub_, &KeyStub::AcknowledgeApiKeys, request, Caller::Service("gateway"), 5s);
    EXPECT_TRUE(done) << done.error().message;
  }

  KeyStub& stub_;
  const std::string id_ = Uuid::V7().ToString();
  std::atomic<bool> acknowledges_;
  std::unique_ptr<grpc::ClientContext> context_;
  std::atomic<bool> synced_ = false;
  std::atomic<std::int64_t> applied_ = 0;
  mutable std::mutex mutex_;
  std::set<std::string> keys_;
  std::thread thread_;
};

TEST_F(KeyWatchersTest, AKeyIsAtEveryGatewayWhenItsCreationReturnsAndAtNoneAfterItsRevocation) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  Gateway a(*key_stub_);
  Gateway b(*key_stub_);
  for (int i = 0; i < 20; ++i) {
    const auto created = CreateKey(Caller::Operator());
    ASSERT_TRUE(created) << created.error().message;
    const std::string& name = created->api_key().name();
    EXPECT_TRUE(a.Knows(name) && b.Knows(name));
    v1::RevokeApiKeyRequest revoke;
    revoke.set_name(name);
    ASSERT_TRUE(CallUnary(*key_stub_, &KeyStub::RevokeApiKey, revoke, Caller::Operator(), 5s));
    EXPECT_FALSE(a.Knows(name) || b.Knows(name));
  }
}

TEST_F(KeyWatchersTest, AGatewayThatLagsHoldsMutationsUpOnceAndUntilItHasCaughtUpNoMore) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  Gateway slow(*key_stub_);
  Gateway good(*key_stub_);
  slow.SetAcknowledges(false);
  const auto timed = [&] {
    const auto start = std::chrono::steady_clock::now();
    const auto created = CreateKey(Caller::Operator());
    EXPECT_TRUE(created && good.Knows(created->api_key().name()));
    return std::chrono::steady_clock::now() - start;
  };
  const auto first = timed();
  EXPECT_GE(first, Watchers::kWaitMax - 10ms);
  EXPECT_LT(first, Watchers::kWaitMax + 1s);
  for (int i = 0; i < 5; ++i) EXPECT_LT(timed(), 1s) << "it is not waited for again";
  slow.SetAcknowledges(true);
  const auto created = CreateKey(Caller::Operator());
  EXPECT_TRUE(slow.Knows(created->api_key().name())) << "it keeps up again";
}

TEST_F(KeyWatchersTest, ARevocationThatGatewaysCannotBeToldOfIsNotSaidToBeInForceAtOnce) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  Gateway good(*key_stub_);
  const std::string name = CreateKey(Caller::Operator())->api_key().name();
  store_.FailKeysOf("ke", Error{Code::kInternal, "INTERNAL", "a row makes no sense"});
  v1::RevokeApiKeyRequest revoke;
  revoke.set_name(name);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(CallUnary(*key_stub_, &KeyStub::RevokeApiKey, revoke, Caller::Operator(), 500ms));
  EXPECT_GE(std::chrono::steady_clock::now() - start, 300ms) << "what its deadline leaves";
  EXPECT_TRUE(good.Knows(name));
  store_.FailKeysOf("ke", std::nullopt);
  clock_.Advance(1s);
  ASSERT_TRUE(CallUnary(*key_stub_, &KeyStub::RevokeApiKey, revoke, Caller::Operator(), 5s));
  EXPECT_TRUE(good.Loses(name)) << "it is tried again";
}

TEST_F(KeyWatchersTest, AGatewayThatIsGoneHoldsNobodyUp) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  { Gateway gone(*key_stub_, false); }
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(CreateKey(Caller::Operator()));
  EXPECT_LT(std::chrono::steady_clock::now() - start, 1s);
}

TEST_F(KeyWatchersTest, AShortDeadlineIsAnsweredInTimeThoughAGatewayLags) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  Gateway slow(*key_stub_);
  slow.SetAcknowledges(false);
  v1::CreateApiKeyRequest request;
  request.set_parent("tenants/ke/projects/desk");
  const auto created = CallUnary(*key_stub_, &KeyStub::CreateApiKey, request, Caller::Operator(), 500ms);
  EXPECT_TRUE(created) << created.error().message << ": a mutation whose wait ran out still succeeds";
}

TEST_F(KeyWatchersTest, ARotatedKeysSuccessorIsAtEveryGatewayAndItsSecretIsShownOnce) {
  ASSERT_TRUE(CreateTenant("ke"));
  ASSERT_TRUE(CreateProject("ke", Caller::Operator()));
  Gateway gateway(*key_stub_);
  const std::string name = CreateKey(Caller::Operator())->api_key().name();
  const std::string request_id = Uuid::V7().ToString();
  const auto rotated = Rotate(name, 1h, Caller::Operator(), request_id);
  ASSERT_TRUE(rotated) << rotated.error().message;
  const std::string successor = rotated->api_key().name();
  EXPECT_NE(successor, name);
  EXPECT_TRUE(gateway.Knows(successor) && gateway.Knows(name));
  const auto text = ParseApiKey(rotated->secret());
  ASSERT_TRUE(text);
  EXPECT_TRUE(successor.ends_with("/" + text->kid));
  EXPECT_EQ(rotated->api_key().scopes(0), v1::ApiKey::SCOPE_INFERENCE);
  EXPECT_EQ(TimeFrom("t", Listed(name).expire_time()), clock_.Now() + 1h);

  const auto again = Rotate(name, 1h, Caller::Operator(), request_id);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->api_key().name(), successor);
  EXPECT_EQ(again->secret(), "");
  EXPECT_EQ(Rotate(name, 2h, Caller::Operator(), request_id).error().reason, "REQUEST_ID_REUSED");
  EXPECT_EQ(Rotate(name, 24h * 31, Caller::Operator()).error().reason, "INVALID_OVERLAP");
  EXPECT_EQ(Rotate(name, -1s, Caller::Operator()).error().reason, "INVALID_OVERLAP");
  EXPECT_EQ(Rotate(name, 1h, Caller::Tenant("ug")).error().code, Code::kNotFound);

  ASSERT_TRUE(Rotate(successor, 0s, Caller::Operator()));
  EXPECT_FALSE(gateway.Knows(successor)) << "without overlap it is refused when the call returns";
  EXPECT_EQ(Rotate(successor, 0s, Caller::Operator()).error().reason, "API_KEY_NOT_VALID");
}

TEST_F(KeyWatchersTest, GatewaysSayWhenKeysWereUsed) {
  for (const char* id : {"ke", "ug"}) {
    ASSERT_TRUE(CreateTenant(id));
    ASSERT_TRUE(CreateProject(id, Caller::Operator()));
  }
  const std::string name = CreateKey(Caller::Operator())->api_key().name();
  v1::CreateApiKeyRequest create;
  create.set_parent("tenants/ug/projects/desk");
  const auto foreign = CallUnary(*key_stub_, &KeyStub::CreateApiKey, create, Caller::Operator(), 5s);
  ASSERT_TRUE(foreign);
  v1::ReportApiKeyUseRequest request;
  const auto add = [&](const std::string& key, Time time) {
    request.add_uses()->set_name(key);
    *request.mutable_uses(request.uses_size() - 1)->mutable_use_time() = ToTimestamp(time);
  };
  const auto report = [&](const Caller& caller) {
    const auto done = CallUnary(*key_stub_, &KeyStub::ReportApiKeyUse, request, caller, 5s);
    return done ? std::string() : done.error().reason;
  };
  clock_.Advance(90s);
  add(foreign->api_key().name(), clock_.Now());
  add(name, clock_.Now() + 1h);
  for (const Caller& caller : {Caller::Operator(), Caller::Tenant("ke"), Caller::Node("n")}) {
    EXPECT_EQ(report(caller), "NOT_ALLOWED");
  }
  // One tenant's trouble is not the others'.
  store_.FailKeysOf("ke", Error{Code::kInternal, "INTERNAL", "a row makes no sense"});
  EXPECT_EQ(report(Caller::Service("gateway")), "");
  store_.FailKeysOf("ke", std::nullopt);
  EXPECT_TRUE(store_.ValidKeys("ug", clock_.Now())->at(0).last_used_time);
  EXPECT_FALSE(Listed(name).has_last_used_time());
  EXPECT_EQ(report(Caller::Service("gateway")), "");
  EXPECT_EQ(TimeFrom("t", Listed(name).last_used_time()), std::chrono::floor<std::chrono::minutes>(clock_.Now()))
      << "a minute, and none that is still to come";
  add("tenants/ke/projects/desk", clock_.Now());
  EXPECT_EQ(report(Caller::Service("gateway")), "INVALID_NAME");
  request.clear_uses();
  for (int i = 0; i < 1001; ++i) add(name, clock_.Now());
  EXPECT_EQ(report(Caller::Service("gateway")), "TOO_MANY_USES");
}

TEST_F(KeyWatchersTest, OnlyServicesWatchKeys) {
  for (const Caller& caller : {Caller::Tenant("ke"), Caller::Node("n1")}) {
    const auto context = MakeStreamContext(caller);
    context->set_wait_for_ready(true);
    const auto stream = key_stub_->WatchApiKeys(context.get(), v1::WatchApiKeysRequest());
    v1::WatchApiKeysResponse message;
    EXPECT_FALSE(stream->Read(&message));
    EXPECT_EQ(FromGrpc(stream->Finish()).code, Code::kPermissionDenied);
  }
}

}  // namespace
}  // namespace allod::tenancy::key_watchers_test
