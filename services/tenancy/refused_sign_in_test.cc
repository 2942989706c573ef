// Who was refused at a gateway, on its way into the tenant's audit log.
#include <gtest/gtest.h>

#include <mutex>

#include "services/common/rpc/client.h"
#include "services/common/rpc/server.h"
#include "services/tenancy/session_service.h"
#include "services/tenancy/testing/fake_identity_store.h"
#include "services/tenancy/testing/fake_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace allod::tenancy::refused_sign_in_test {
namespace {

using namespace std::chrono_literals;

constexpr char kProvider[] = "tenants/ke/identityProviders/staff";

class RefusedSignInTest : public testing::Test {
 protected:
  RefusedSignInTest() {
    server_ = *Server::Start({.listen = address_}, {&sessions_});
    stub_ = v1::SessionService::NewStub(MakeChannel(address_));
  }
  ~RefusedSignInTest() override { server_->Stop(1s); }

  static v1::ReportRefusedSignInRequest Refusal(const std::string& provider = kProvider,
                                                const std::string& reason = "NOT_A_MEMBER") {
    v1::ReportRefusedSignInRequest request;
    request.set_identity_provider(provider);
    request.set_reason(reason);
    request.set_subject("248289761001");
    request.set_client_address("192.0.2.7");
    request.set_trace_id(std::string(32, 'a'));
    return request;
  }
  // The reason of the refusal to take it; empty: it is taken.
  std::string Report(const v1::ReportRefusedSignInRequest& request, const Caller& caller = Caller::Service("gateway")) {
    const auto done =
        CallUnary(*stub_, &v1::SessionService::Stub::ReportRefusedSignIn, request, caller, std::chrono::seconds(5));
    return done ? "" : done.error().reason;
  }

  FakeClock clock_;
  const TempDir sockets_;
  const std::string address_ = "unix:" + (sockets_ / "s.sock").string();
  FakeStore tenants_;
  FakeIdentityStore store_{tenants_};
  IdentityFeed feed_{store_, clock_};
  const ClientSecrets secrets_{"a pepper of some length"};
  IdentityServiceImpl identities_{feed_, secrets_};
  CallGates gates_;
  std::mutex mutex_;
  std::vector<audit::Access> recorded_;
  SessionServiceImpl sessions_{store_, identities_, clock_, gates_, [this](audit::Access access) {
                                 const std::scoped_lock lock(mutex_);
                                 recorded_.push_back(std::move(access));
                               }};
  std::unique_ptr<Server> server_;
  std::unique_ptr<v1::SessionService::Stub> stub_;
};

TEST_F(RefusedSignInTest, IsRecordedWithWhoItWasAsErasableDetails) {
  EXPECT_EQ(Report(Refusal()), "");
  ASSERT_EQ(recorded_.size(), 1U);
  const audit::Access& access = recorded_[0];
  EXPECT_EQ(access.tenant, "tenants/ke");
  EXPECT_EQ(access.action, "tenancy.sessions.begin");
  EXPECT_EQ(access.resource, kProvider);
  EXPECT_EQ(access.outcome, audit::Outcome::kRefused);
  EXPECT_EQ(access.reason, "NOT_A_MEMBER");
  EXPECT_EQ(access.actor, (Actor{"person", "", ""})) << "nothing that says who a person is";
  ASSERT_EQ(access.details.size(), 3U);
  EXPECT_EQ(access.details[0], (audit::Detail{"identity_provider", "staff"}));
  for (int i : {1, 2}) EXPECT_TRUE(access.details[i].commitment && access.details[i].salt) << access.details[i].name;
  EXPECT_EQ(access.details[1].value, "248289761001");
  // As it is written: with the first of those that are counted together.
  audit::AccessTally tally;
  for (int i = 0; i < 100; ++i) tally.Note(access, clock_.Now());
  const auto due = tally.TakeDue(clock_.Now());
  ASSERT_EQ(due.at("tenants/ke").size(), 1U);
  const audit::Entry entry = audit::EntryOf(due.at("tenants/ke")[0]);
  EXPECT_EQ(entry.details[1], access.details[1]);
  EXPECT_TRUE(audit::CheckEntry(entry));
}

TEST_F(RefusedSignInTest, IsTakenOfServicesAndInWordsOnly) {
  EXPECT_EQ(Report(Refusal(), Caller::Operator()), "NOT_ALLOWED");
  EXPECT_EQ(Report(Refusal(), Caller::Person("ke", Uuid::V7().ToString(), {Role::ROLE_OWNER})), "NOT_ALLOWED");
  EXPECT_EQ(Report(Refusal("tenants/ke")), "INVALID_NAME");
  EXPECT_EQ(Report(Refusal(kProvider, "")), "INVALID_REASON");
  EXPECT_EQ(Report(Refusal(kProvider, "not a word")), "INVALID_REASON");
  EXPECT_EQ(Report(Refusal(kProvider, std::string(65, 'A'))), "INVALID_REASON");
  auto request = Refusal();
  request.set_subject(std::string(256, 's'));
  EXPECT_EQ(Report(request), "INVALID_SUBJECT");
  request = Refusal();
  request.set_client_address(std::string(65, '1'));
  EXPECT_EQ(Report(request), "INVALID_TEXT");
  EXPECT_TRUE(recorded_.empty());
  request = Refusal();
  request.clear_subject();
  EXPECT_EQ(Report(request), "");
  ASSERT_EQ(recorded_.at(0).details.size(), 1U) << "an address of nobody is kept by nobody's leave";
  EXPECT_EQ(recorded_[0].details[0].name, "identity_provider");
}

}  // namespace
}  // namespace allod::tenancy::refused_sign_in_test
