#include "cli/commands/audit_logs.h"

#include <gtest/gtest.h>

#include <random>

#include "services/common/audit/convert.h"

namespace allod::cli::commands::audit_logs_test {
namespace {

using audit::Entry;
using Kind = audit::Break::Kind;

constexpr char kTenant[] = "tenants/ke";

// A log as a service would answer for it, in pages of three.
class FakeLog {
 public:
  FakeLog(std::string service, int count, int first_second, int step) : service_(std::move(service)) {
    for (int i = 0; i < count; ++i) {
      Entry entry;
      entry.sequence = i + 1;
      entry.time = Time(std::chrono::seconds(first_second + i * step));
      entry.actor = {"operator", "", ""};
      entry.action = service_ + ".things.create";
      entry.resource = "tenants/ke/things/" + std::to_string(i);
      entry.details = {audit::Personal("name", "Otieno")};
      entry.hash = audit::HashAfter(head_.hash, entry);
      head_ = {entry.sequence, entry.hash};
      entries.push_back(std::move(entry));
    }
  }
  AuditPeer Peer() {
    return {
        service_,
        [this](const std::string& tenant, const std::string& token) -> Result<audit::v1::AuditEntries> {
          EXPECT_EQ(tenant, kTenant);
          audit::v1::AuditEntries page;
          std::size_t at = token.empty() ? 0 : std::stoul(token);
          for (int i = 0; i < 3 && at < entries.size(); ++i, ++at) *page.add_entries() = ToProto(entries[at]);
          if (at < entries.size()) page.set_next_page_token(std::to_string(at));
          ++pages_read;
          return page;
        },
        [this](const std::string& tenant) -> Result<audit::v1::AuditHead> { return ToProto(head_, service_, tenant); }};
  }
  const audit::Head& head() const { return head_; }
  void set_head(const audit::Head& head) { head_ = head; }

  std::vector<Entry> entries;
  int pages_read = 0;

 private:
  std::string service_;
  audit::Head head_ = audit::Genesis(service_, kTenant);
};

Result<LogVerdict> Verify(FakeLog& log, const KeptHeads& kept = {}) { return VerifyLog(log.Peer(), kTenant, kept); }

TEST(VerifyLog, FindsAWholeLogWhole) {
  FakeLog log("tenancy", 10, 0, 1);
  const auto verdict = Verify(log);
  ASSERT_TRUE(verdict) << verdict.error().message;
  EXPECT_EQ(verdict->entries, 10);
  EXPECT_FALSE(verdict->broken);
  FakeLog empty("tenancy", 0, 0, 1);
  EXPECT_FALSE(Verify(empty)->broken);
}

TEST(VerifyLog, NamesTheFirstBrokenPlace) {
  FakeLog log("tenancy", 10, 0, 1);
  log.entries[4].resource = "tenants/ke/things/another";
  log.entries[7].resource = "tenants/ke/things/another";
  const auto verdict = Verify(log);
  ASSERT_TRUE(verdict->broken);
  EXPECT_EQ(verdict->broken->kind, Kind::kChanged);
  EXPECT_EQ(verdict->broken->sequence, 5);
  EXPECT_EQ(verdict->entries, 4);
}

TEST(VerifyLog, AHeadThatWasKeptShowsThatTheEndWasCutOffWithTheHead) {
  FakeLog log("tenancy", 10, 0, 1);
  const KeptHeads kept = *ParseHeads("# kept on Monday\n\n" + HeadLine(kTenant, "tenancy", log.head()) +
                                     HeadLine(kTenant, "billing", {99, {}}));
  EXPECT_FALSE(Verify(log, kept)->broken) << "that of billing says nothing of this";
  log.entries.resize(6);
  log.set_head({6, log.entries.back().hash});
  EXPECT_FALSE(Verify(log)->broken) << "by itself it looks whole";
  const auto verdict = Verify(log, kept);
  ASSERT_TRUE(verdict->broken);
  EXPECT_EQ(verdict->broken->kind, Kind::kTruncated);
  EXPECT_EQ(verdict->broken->sequence, 7);
}

TEST(VerifyLog, ShowsEveryFlipDeletionReorderingAndTruncation) {
  std::mt19937 random(8);
  for (int i = 0; i < 1000; ++i) {
    FakeLog log("tenancy", 12, 0, 1);
    const std::size_t at = random() % log.entries.size();
    switch (random() % 4) {
      case 0:
        log.entries[at].hash[random() % 32] ^= 1;
        break;
      case 1:
        log.entries.erase(log.entries.begin() + static_cast<std::ptrdiff_t>(at));
        break;
      case 2:
        std::swap(log.entries[at], log.entries[(at + 1) % log.entries.size()]);
        break;
      default:
        log.entries.resize(at);
        break;
    }
    const auto verdict = Verify(log);
    ASSERT_TRUE(verdict) << verdict.error().message;
    ASSERT_TRUE(verdict->broken);
  }
}

TEST(VerifyLog, LeavesWhatWasAddedMeanwhileToTheNextTime) {
  FakeLog log("tenancy", 10, 0, 1);
  log.set_head({4, log.entries[3].hash});
  const auto verdict = Verify(log);
  EXPECT_FALSE(verdict->broken);
  EXPECT_EQ(verdict->entries, 4);
  EXPECT_EQ(log.pages_read, 2);
}

TEST(VerifyLog, PassesOnWhatTheServiceSays) {
  FakeLog log("tenancy", 1, 0, 1);
  AuditPeer peer = log.Peer();
  peer.read_head = [](const std::string&) -> Result<audit::v1::AuditHead> {
    return Fail(Code::kUnavailable, "RPC_FAILED", "away");
  };
  EXPECT_EQ(VerifyLog(peer, kTenant, {}).error().code, Code::kUnavailable);
}

TEST(ParseHeads, RefusesWhatIsNone) {
  const std::string sound = HeadLine(kTenant, "tenancy", {3, {}});
  EXPECT_EQ(ParseHeads(sound)->size(), 1u);
  for (const std::string& text :
       {std::string("nonsense"), std::string("tenants/ke tenancy 3"), std::string("tenants/ke tenancy 3 ab"),
        "tenants/ke tenancy x" + sound, sound.substr(0, sound.size() - 1) + " more", "ke" + sound.substr(10),
        std::string("tenants/ke tenancy -3 ") + std::string(64, '0'),
        std::string("tenants/ke tenancy 3 ") + std::string(64, 'x')}) {
    const auto parsed = ParseHeads(sound + text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().reason, "INVALID_HEADS");
    EXPECT_TRUE(parsed.error().message.starts_with("line 2")) << parsed.error().message;
  }
}

TEST(MergeLogs, IsInTheOrderOfTime) {
  FakeLog tenancy("tenancy", 7, 0, 10);
  FakeLog billing("billing", 7, 5, 7);
  FakeLog none("scheduling", 0, 0, 1);
  const std::vector<AuditPeer> peers = {tenancy.Peer(), billing.Peer(), none.Peer()};
  std::vector<std::int64_t> seconds;
  ASSERT_TRUE(MergeLogs(peers, kTenant, [&](const MergedEntry& merged) {
    EXPECT_TRUE(merged.entry.action().starts_with(merged.service));
    seconds.push_back(merged.entry.time().seconds());
    return true;
  }));
  EXPECT_EQ(seconds.size(), 14u);
  EXPECT_TRUE(std::ranges::is_sorted(seconds));
}

TEST(MergeLogs, EndsWhenEnoughIsTaken) {
  FakeLog log("tenancy", 100, 0, 1);
  int taken = 0;
  ASSERT_TRUE(MergeLogs({log.Peer()}, kTenant, [&](const MergedEntry&) { return ++taken < 4; }));
  EXPECT_EQ(taken, 4);
  EXPECT_EQ(log.pages_read, 2);
}

TEST(DetailsText, SaysWhatWasErased) {
  FakeLog log("tenancy", 1, 0, 1);
  Entry& entry = log.entries[0];
  EXPECT_EQ(DetailsText(ToProto(entry)), "name=Otieno");
  entry.details[0].salt.reset();
  entry.details[0].value.clear();
  entry.details.push_back({"count", "3"});
  EXPECT_EQ(DetailsText(ToProto(entry)), "name=(erased) count=3");
}

}  // namespace
}  // namespace allod::cli::commands::audit_logs_test
