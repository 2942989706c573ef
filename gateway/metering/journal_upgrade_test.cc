// Journals of before version 2, as bytes, and what a gateway of today makes of them, whenever it is killed.
#include "gateway/metering/journal_upgrade.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <map>

#include "gateway/metering/journal.h"
#include "gateway/metering/old_journal_fixture.h"
#include "tests/support/temp_dir.h"

namespace allod::gateway::metering::journal_upgrade_test {
namespace {

constexpr std::uint32_t kLost = 4;
constexpr std::uint32_t kCompleted = 1;

// One slot is finalised, one was open when its gateway died, one is free.
class JournalUpgrade : public testing::TestWithParam<std::uint32_t> {
 protected:
  void WriteOld() {
    OldJournalBytes bytes(3, GetParam());
    bytes.Put(0, {finalised_, 2, kCompleted, 12, 5});
    bytes.Put(1, {lost_, 1, 0, 7, 3});
    directory_.Write("requests.journal", bytes.file());
  }
  std::unique_ptr<Journal> Open() {
    auto out = Journal::Open(directory_.path(), 4, kLost);
    EXPECT_TRUE(out) << out.error().message;
    return out ? *std::move(out) : nullptr;
  }
  void ExpectBoth(const Journal& journal) {
    EXPECT_EQ(journal.torn_count(), 0);
    EXPECT_EQ(journal.slot_count(), 3);
    ASSERT_EQ(journal.recovered().size(), 2U);
    for (const int slot : journal.recovered()) {
      const Settlement settlement = journal.Read(slot);
      const bool lost = settlement.entry.request_id == lost_;
      EXPECT_TRUE(journal.IsOld(slot));
      EXPECT_FALSE(settlement.terms) << "its money is held by billing, not by a lease";
      EXPECT_EQ(settlement.entry.request_id, lost ? lost_ : finalised_);
      EXPECT_EQ(settlement.entry.tenant, "tenants/ke");
      EXPECT_EQ(settlement.entry.instance, "tenants/ke/projects/p/instances/i");
      EXPECT_EQ(settlement.outcome, lost ? kLost : kCompleted);
      EXPECT_EQ(settlement.prompt_tokens, lost ? 7 : 12);
      EXPECT_EQ(settlement.completion_tokens, lost ? 3 : 5);
      EXPECT_TRUE(settlement.reserved);
    }
  }
  static JournalEntry Entry() { return {Uuid::V7(), "tenants/ke", "tenants/ke/projects/p/instances/i", {}}; }

  TempDir directory_;
  const Uuid finalised_ = Uuid::V7();
  const Uuid lost_ = Uuid::V7();
};

TEST_P(JournalUpgrade, TakesOverWhatWaits) {
  WriteOld();
  Uuid gateway;
  for (int i = 0; i < 2; ++i) {  // and again from the file that this version has written
    const auto journal = Open();
    ASSERT_NE(journal, nullptr);
    ExpectBoth(*journal);
    EXPECT_FALSE(journal->gateway_id().is_nil());
    EXPECT_TRUE(i == 0 || journal->gateway_id() == gateway);
    gateway = journal->gateway_id();
  }
  const auto journal = Open();
  for (const int slot : std::vector<int>(journal->recovered())) journal->Free(slot);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(journal->Take(Entry())) << "its slots are used again";
  EXPECT_FALSE(std::filesystem::exists(directory_ / "requests.journal.new"));
}

TEST_P(JournalUpgrade, WhatWasBegunHalfIsBegunAnew) {
  WriteOld();
  directory_.Write("requests.journal.new", std::string(1500, 'x'));
  const auto journal = Open();
  ASSERT_NE(journal, nullptr);
  ExpectBoth(*journal);
}

// kill -9 wherever it meets the process: before, within and after each step.
TEST_P(JournalUpgrade, KilledAtAnyMomentLosesNothingAndDoublesNothing) {
  int upgraded = 0;
  for (int round = 0; round < 60; ++round) {
    WriteOld();
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      const auto journal = Journal::Open(directory_.path(), 4, kLost);
      ::pause();
      ::_exit(0);
    }
    ::usleep(static_cast<useconds_t>(round * 50));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    if (std::filesystem::file_size(directory_ / "requests.journal") > 4 * kOldSlotBytes) ++upgraded;
    const auto journal = Open();
    ASSERT_NE(journal, nullptr);
    ExpectBoth(*journal);
  }
  RecordProperty("killed_after_it", upgraded);
}

TEST_P(JournalUpgrade, ASlotOfALaterVersionIsRefusedAndTheFileLeftAsItWas) {
  OldJournalBytes bytes(3, GetParam());
  bytes.Put(1, {lost_, 1, 0, 7, 3});
  bytes.PutVersion(1, kJournalVersion);
  directory_.Write("requests.journal", bytes.file());
  const auto opened = Journal::Open(directory_.path(), 4, kLost);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason, "JOURNAL_TOO_NEW");
  EXPECT_EQ(std::filesystem::file_size(directory_ / "requests.journal"), 4 * kOldSlotBytes);
}

TEST_P(JournalUpgrade, ATornSlotIsDroppedAsBefore) {
  OldJournalBytes bytes(3, GetParam());
  bytes.Put(0, {finalised_, 2, kCompleted, 12, 5});
  bytes.Put(1, {lost_, 1, 0, 7, 3});
  bytes.Scribble(1, 32);
  directory_.Write("requests.journal", bytes.file());
  const auto journal = Open();
  ASSERT_NE(journal, nullptr);
  EXPECT_EQ(journal->torn_count(), 1);
  EXPECT_EQ(journal->recovered().size(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Versions, JournalUpgrade, testing::Values(0U, 1U));

}  // namespace
}  // namespace allod::gateway::metering::journal_upgrade_test
