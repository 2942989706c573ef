#include "gateway/journal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>

#include "gateway/journal_slot.h"
#include "tests/support/temp_dir.h"

namespace allod::gateway {
namespace {

constexpr std::uint32_t kLost = 4;
constexpr std::uint32_t kCompleted = 1;

class JournalTest : public testing::Test {
 protected:
  std::unique_ptr<Journal> Open(int slots = 4) {
    auto out = Journal::Open(directory_.path(), slots, kLost);
    EXPECT_TRUE(out) << out.error().message;
    return out ? *std::move(out) : nullptr;
  }
  static JournalEntry Entry() {
    return {Uuid::V7(), "tenants/ke", "tenants/ke/projects/p/instances/i", Time(std::chrono::seconds(1'900'000'000))};
  }
  // Overwrites bytes of slot 0, as a crash of the machine could leave them.
  void Scribble(std::size_t offset, const void* data, std::size_t size) {
    const int fd = ::open((directory_ / "requests.journal").c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(::pwrite(fd, data, size, static_cast<off_t>(kJournalSlotBytes + offset)), static_cast<ssize_t>(size));
    ::close(fd);
  }

  TempDir directory_;
};

TEST_F(JournalTest, SlotLeftOpenIsRecoveredAsLostWithItsCounts) {
  const JournalEntry entry = Entry();
  {
    const auto journal = Open();
    const int slot = *journal->Take(entry);
    journal->MarkReserved(slot);
    journal->SetPromptTokens(slot, 12);
    journal->AddCompletionTokens(slot, 3);
    journal->AddCompletionTokens(slot, 2);
  }
  const auto journal = Open();
  ASSERT_EQ(journal->recovered().size(), 1U);
  const Settlement settlement = journal->Read(journal->recovered()[0]);
  EXPECT_EQ(settlement.entry.request_id, entry.request_id);
  EXPECT_EQ(settlement.entry.tenant, entry.tenant);
  EXPECT_EQ(settlement.entry.instance, entry.instance);
  EXPECT_EQ(settlement.entry.admit_time, entry.admit_time);
  EXPECT_EQ(settlement.outcome, kLost);
  EXPECT_EQ(settlement.prompt_tokens, 12);
  EXPECT_EQ(settlement.completion_tokens, 5);
  EXPECT_TRUE(settlement.reserved);
}

TEST_F(JournalTest, LostRequestWithoutOutputDoesNotPayForItsPrompt) {
  {
    const auto journal = Open();
    journal->SetPromptTokens(*journal->Take(Entry()), 12);
  }
  const auto journal = Open();
  EXPECT_EQ(journal->Read(journal->recovered().at(0)).prompt_tokens, 0);
}

TEST_F(JournalTest, FinalisedSlotKeepsItsOutcomeThroughAnyNumberOfRestarts) {
  {
    const auto journal = Open();
    const int slot = *journal->Take(Entry());
    journal->AddCompletionTokens(slot, 7);
    journal->Finalise(slot, kCompleted);
  }
  for (int i = 0; i < 3; ++i) {
    const auto journal = Open();
    const Settlement settlement = journal->Read(journal->recovered().at(0));
    EXPECT_EQ(settlement.outcome, kCompleted);
    EXPECT_EQ(settlement.completion_tokens, 7);
  }
}

TEST_F(JournalTest, FreedSlotIsForgottenAndUsedAgain) {
  {
    const auto journal = Open(1);
    const int slot = *journal->Take(Entry());
    const auto full = journal->Take(Entry());
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().reason, "JOURNAL_FULL");
    EXPECT_EQ(full.error().code, Code::kUnavailable);
    journal->Free(slot);
    EXPECT_TRUE(journal->Take(Entry()));
    journal->Free(slot);
  }
  EXPECT_TRUE(Open(1)->recovered().empty());
}

TEST_F(JournalTest, TornSlotIsRecognisedAndDropped) {
  {
    const auto journal = Open();
    (void)*journal->Take(Entry());
    (void)*journal->Take(Entry());
  }
  const char wrong = 'x';
  Scribble(offsetof(JournalSlot, fixed) + offsetof(JournalSlot::Fixed, tenant), &wrong, 1);
  const auto journal = Open();
  EXPECT_EQ(journal->torn_count(), 1);
  EXPECT_EQ(journal->recovered().size(), 1U);
  EXPECT_EQ(journal->used_count(), 1);
}

TEST_F(JournalTest, SlotWithAnImpossibleStateIsDropped) {
  (void)*Open()->Take(Entry());
  const std::uint32_t state = 77;
  Scribble(offsetof(JournalSlot, state), &state, sizeof(state));
  EXPECT_EQ(Open()->torn_count(), 1);
}

TEST_F(JournalTest, SecondOpenerIsRefused) {
  const auto first = Open();
  const auto second = Journal::Open(directory_.path(), 4, kLost);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().reason, "JOURNAL_IN_USE");
}

TEST_F(JournalTest, FileOfAnotherKindIsRefusedAndLeftAlone) {
  directory_.Write("requests.journal", std::string(4096, 'z'));
  const auto opened = Journal::Open(directory_.path(), 4, kLost);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().reason, "JOURNAL_UNREADABLE");
  EXPECT_EQ(std::filesystem::file_size(directory_ / "requests.journal"), 4096U);
}

TEST_F(JournalTest, ExistingFileKeepsItsSize) {
  (void)*Open(4)->Take(Entry());
  const auto journal = Open(64);
  EXPECT_EQ(journal->slot_count(), 4);
  EXPECT_EQ(journal->recovered().size(), 1U);
}

}  // namespace
}  // namespace allod::gateway
