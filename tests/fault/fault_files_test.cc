// A process is killed at each fault point of the files that outlive it: the gateway's journal, a worker's usage ring,
// and the history of migrations. What the next one finds is what had happened.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <pqxx/pqxx>
#include <string>

#include "gateway/metering/journal.h"
#include "gateway/metering/old_journal_fixture.h"
#include "inference/usage/ring_file.h"
#include "inference/usage/ring_mapping.h"
#include "inference/usage/ring_reader.h"
#include "inference/usage/ring_recorder.h"
#include "services/common/pg/migrations.h"
#include "tests/support/fault_board.h"
#include "tests/support/pg_fixture.h"
#include "tests/support/pg_server.h"

namespace allod::fault_files_test {
namespace {

using gateway::metering::Journal;
using gateway::metering::JournalEntry;
using gateway::metering::LeaseTerms;

constexpr std::uint32_t kLost = 6;
constexpr std::uint32_t kCompleted = 1;

// Runs `body` in a child, which `point` kills at its `nth` passage. The child makes no thread before.
void DieAt(FaultPoint point, const std::function<void()>& body, std::uint64_t nth = 1) {
  FaultBoard board;
  board.Arm(point, FaultAction::kKill, nth);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    UseFaultPage(board.path().c_str());
    body();
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  const auto name = kFaultPoints[static_cast<std::size_t>(point)].name;
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << name << " was not passed";
  EXPECT_EQ(board.fired(point), 1U) << name;
}

JournalEntry SomeRequest() {
  return {.request_id = Uuid::V7(),
          .tenant = "tenants/ke",
          .instance = "tenants/ke/projects/services/instances/assistant",
          .admit_time = std::chrono::time_point_cast<Time::duration>(std::chrono::system_clock::now())};
}

LeaseTerms SomeTerms() {
  return {Uuid::V7(),
          {"models/m/versions/v1/variants/q4_k_m", "priceBooks/01890000-0000-7000-8000-000000000000", "pooled"},
          {Amount::FromPico(1), Amount::FromPico(2)},
          {512, 20},
          "tenants/ke/projects/services/apiKeys/k1"};
}

// A request from its admission until billing acknowledged it.
void OneRequest(const std::filesystem::path& directory) {
  auto journal = Journal::Open(directory, 4, kLost);
  if (!journal) ::_exit(3);
  const int slot = (*journal)->Take(SomeRequest()).value();
  (*journal)->SetTerms(slot, SomeTerms());
  (*journal)->SetPromptTokens(slot, 7);
  (*journal)->AddCompletionTokens(slot, 5);
  (*journal)->SetCompletionTokensMax(slot, 40);
  (*journal)->AddCompletionTokens(slot, 6);
  (*journal)->Finalise(slot, kCompleted);
  (*journal)->Free(slot);
}

struct AfterDeath {
  FaultPoint point;
  int recovered;  // slots
  std::int64_t completion_tokens;
  std::uint32_t outcome;
};

TEST(JournalDeath, TheNextGatewayFindsWhatHadHappened) {
  using enum FaultPoint;
  const AfterDeath cases[] = {
      {kJournalSized, 0, 0, 0},
      {kJournalFilled, 0, 0, 0},
      {kJournalTaken, 0, 0, 0},
      {kJournalTermsHalf, 0, 0, 0},  // it never ran
      {kJournalTerms, 1, 0, kLost},
      {kJournalCounted, 1, 5, kLost},
      {kJournalExtended, 1, 5, kLost},
      {kJournalOutcome, 1, 11, kCompleted},
      {kJournalFinalised, 1, 11, kCompleted},
      {kJournalFreeing, 1, 11, kCompleted},  // told again, which counts once
      {kJournalFreed, 0, 0, 0},
  };
  for (const AfterDeath& after : cases) {
    SCOPED_TRACE(kFaultPoints[static_cast<std::size_t>(after.point)].name);
    const TempDir dir;
    DieAt(after.point, [&] { OneRequest(dir.path()); });
    auto journal = Journal::Open(dir.path(), 4, kLost);
    ASSERT_TRUE(journal) << journal.error().message;
    EXPECT_EQ((*journal)->torn_count(), 0);
    ASSERT_EQ((*journal)->recovered().size(), static_cast<std::size_t>(after.recovered));
    if (after.recovered == 0) continue;
    const auto settlement = (*journal)->Read((*journal)->recovered().front());
    EXPECT_EQ(settlement.completion_tokens, after.completion_tokens);
    EXPECT_EQ(settlement.prompt_tokens, after.completion_tokens == 0 ? 0 : 7);
    EXPECT_EQ(settlement.outcome, after.outcome);
    ASSERT_TRUE(settlement.terms);
    EXPECT_GE(settlement.terms->bounds.completion, settlement.completion_tokens);
  }
}

TEST(JournalDeath, ARecoveryThatIsKilledIsDoneAgain) {
  const TempDir dir;
  DieAt(
      FaultPoint::kJournalCounted,
      [&] {
        auto journal = Journal::Open(dir.path(), 4, kLost).value();
        for (int i = 0; i < 3; ++i) {
          const int slot = journal->Take(SomeRequest()).value();
          journal->SetTerms(slot, SomeTerms());
          journal->AddCompletionTokens(slot, 1);
        }
      },
      3);
  for (int i = 0; i < 2; ++i) {
    DieAt(FaultPoint::kJournalRecovering, [&] { (void)Journal::Open(dir.path(), 4, kLost); });
  }
  const auto journal = Journal::Open(dir.path(), 4, kLost);
  ASSERT_TRUE(journal) << journal.error().message;
  EXPECT_EQ((*journal)->recovered().size(), 3U);
}

TEST(JournalDeath, AJournalOfAnEarlierFormatIsTakenOverOnce) {
  for (const FaultPoint point : {FaultPoint::kJournalUpgradeWritten, FaultPoint::kJournalUpgradeRenamed}) {
    SCOPED_TRACE(kFaultPoints[static_cast<std::size_t>(point)].name);
    const TempDir dir;
    gateway::metering::OldJournalBytes bytes(3, 1);
    bytes.Put(0, {Uuid::V7(), 2, kCompleted, 12, 5});
    dir.Write("requests.journal", bytes.file());
    DieAt(point, [&] { (void)Journal::Open(dir.path(), 4, kLost); });
    const auto journal = Journal::Open(dir.path(), 4, kLost);
    ASSERT_TRUE(journal) << journal.error().message;
    ASSERT_EQ((*journal)->recovered().size(), 1U);
    EXPECT_EQ((*journal)->Read((*journal)->recovered().front()).completion_tokens, 5);
  }
}

TEST(RingDeath, WhatWasComputedIsInTheRing) {
  namespace usage = inference::usage;
  using enum FaultPoint;
  struct Case {
    FaultPoint point;
    std::uint64_t nth;
    std::size_t closed;
    std::int64_t sampled;
    inference::ports::UsageOutcome outcome;
  };
  using inference::ports::UsageOutcome;
  const Case cases[] = {
      {kRingFilled, 1, 0, 0, UsageOutcome::kLost},  {kRingOpened, 1, 1, 0, UsageOutcome::kLost},
      {kRingCounted, 1, 1, 1, UsageOutcome::kLost}, {kRingCounted, 3, 1, 3, UsageOutcome::kLost},
      {kRingClosing, 1, 1, 3, UsageOutcome::kLost}, {kRingClosed, 1, 1, 3, UsageOutcome::kCompleted},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(kFaultPoints[static_cast<std::size_t>(one.point)].name);
    const TempDir dir;
    auto file = usage::RingFile::Create(dir / "r.ring", Uuid::V7(), "replica", 8);
    ASSERT_TRUE(file) << file.error().message;
    DieAt(
        one.point,
        [&] {
          usage::RingRecorder recorder(usage::RingMapping::FromFd(file->fd()).value());
          const auto slot = recorder.Open(Uuid::V7().ToString(), Uuid::V7().ToString(), "instance").value();
          slot->CountPrompt(7, 0);
          for (int i = 0; i < 3; ++i) slot->CountSampled();
          slot->Finish(UsageOutcome::kCompleted);
        },
        one.nth);
    usage::RingReader reader(*std::move(file));
    ASSERT_TRUE(reader.CloseOpen());
    const auto closed = reader.Closed(10);
    ASSERT_TRUE(closed) << closed.error().message;
    ASSERT_EQ(closed->size(), one.closed);
    if (one.closed == 0) continue;
    EXPECT_EQ(closed->front().sampled_tokens, one.sampled);
    EXPECT_EQ(closed->front().outcome, static_cast<std::uint32_t>(one.outcome));
  }
}

TEST(MigrationDeath, EachMigrationIsThereOnceWhereverItWasKilled) {
  const auto directory = SourceDir() / "migrations" / "billing";
  for (const FaultPoint point : {FaultPoint::kMigrationWritten, FaultPoint::kMigrationCommitted}) {
    SCOPED_TRACE(kFaultPoints[static_cast<std::size_t>(point)].name);
    const TestDatabase database;
    // Each begins where the one before was killed.
    for (const std::uint64_t nth : {1, 4, 2}) {
      DieAt(
          point, [&] { (void)Migrate(database.owner_url, "billing", directory, kTestAppPassword); }, nth);
    }
    const auto report = Migrate(database.owner_url, "billing", directory, kTestAppPassword);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_EQ(report->applied, report->total - (point == FaultPoint::kMigrationWritten ? 0 + 3 + 1 : 1 + 4 + 2));
    pqxx::connection connection(database.owner_url);
    pqxx::nontransaction session(connection);
    EXPECT_EQ(session.exec("SELECT count(*) FROM billing.schema_migrations")[0][0].as<int>(), report->total);
  }
}

}  // namespace
}  // namespace allod::fault_files_test
