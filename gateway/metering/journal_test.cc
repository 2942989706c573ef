#include "gateway/metering/journal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <filesystem>

#include "gateway/metering/journal_slot.h"
#include "tests/support/temp_dir.h"

namespace allod::gateway::metering::journal_test {
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
  static LeaseTerms Terms() {
    return {Uuid::V7(),
            {"models/m/versions/v1/variants/q4", "priceBooks/01890000-0000-7000-8000-000000000000", "pooled"},
            {Amount::FromPico(Int128{1} << 70), Amount::FromPico(2'000'000)},
            {4096, 512},
            "tenants/ke/projects/p/apiKeys/a1"};
  }
  static int TakeWithTerms(Journal& journal, const JournalEntry& entry = Entry()) {
    const int slot = *journal.Take(entry);
    journal.SetTerms(slot, Terms());
    return slot;
  }
  // Overwrites bytes of a slot, as a crash of the machine could leave them.
  void Scribble(std::size_t slot, std::size_t offset, const void* data, std::size_t size) {
    const int fd = ::open((directory_ / "requests.journal").c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(::pwrite(fd, data, size, static_cast<off_t>(kJournalSlotBytes * (slot + 1) + offset)),
              static_cast<ssize_t>(size));
    ::close(fd);
  }

  TempDir directory_;
};

TEST_F(JournalTest, ASlotThatWasEndingEndsAsItWouldHave) {
  int taken_back = 0;
  {
    const auto journal = Open();
    const int ending = TakeWithTerms(*journal);
    journal->SetPromptTokens(ending, 12);
    journal->SetOutcomeIfLost(ending, kCompleted);
    taken_back = TakeWithTerms(*journal);
    journal->SetPromptTokens(taken_back, 12);
    journal->AddCompletionTokens(taken_back, 3);
    journal->SetOutcomeIfLost(taken_back, kCompleted);
    journal->SetOutcomeIfLost(taken_back, 0);
    journal->AddCompletionTokens(taken_back, -3);
  }
  const auto journal = Open();
  ASSERT_EQ(journal->recovered().size(), 2U);
  for (const int slot : journal->recovered()) {
    const Settlement settlement = journal->Read(slot);
    EXPECT_EQ(settlement.outcome, slot == taken_back ? kLost : kCompleted);
    EXPECT_EQ(settlement.prompt_tokens, slot == taken_back ? 0 : 12);
    EXPECT_EQ(settlement.completion_tokens, 0);
  }
}

TEST_F(JournalTest, SlotLeftOpenIsRecoveredAsLostWithItsCounts) {
  const JournalEntry entry = Entry();
  {
    const auto journal = Open();
    const int slot = TakeWithTerms(*journal, entry);
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
}

TEST_F(JournalTest, LostRequestWithoutOutputDoesNotPayForItsPrompt) {
  {
    const auto journal = Open();
    journal->SetPromptTokens(TakeWithTerms(*journal), 12);
  }
  const auto journal = Open();
  EXPECT_EQ(journal->Read(journal->recovered().at(0)).prompt_tokens, 0);
}

TEST_F(JournalTest, FinalisedSlotKeepsItsOutcomeThroughAnyNumberOfRestarts) {
  {
    const auto journal = Open();
    const int slot = TakeWithTerms(*journal);
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
    TakeWithTerms(*journal);
    TakeWithTerms(*journal);
  }
  const char wrong = 'x';
  Scribble(0, offsetof(JournalSlot, fixed) + offsetof(JournalSlot::Fixed, tenant), &wrong, 1);
  const auto journal = Open();
  EXPECT_EQ(journal->torn_count(), 1);
  EXPECT_EQ(journal->recovered().size(), 1U);
  EXPECT_EQ(journal->used_count(), 1);
}

TEST_F(JournalTest, SlotWithAnImpossibleStateIsDropped) {
  (void)*Open()->Take(Entry());
  const std::uint32_t state = 77;
  Scribble(0, offsetof(JournalSlot, state), &state, sizeof(state));
  EXPECT_EQ(Open()->torn_count(), 1);
}

TEST_F(JournalTest, TermsComeBackAsTheyWereSet) {
  const LeaseTerms terms = Terms();
  {
    const auto journal = Open();
    const int slot = *journal->Take(Entry());
    journal->SetTerms(slot, terms);
    journal->SetCompletionTokensMax(slot, 1200);
  }
  const auto journal = Open();
  ASSERT_EQ(journal->recovered().size(), 1U);
  LeaseTerms grown = terms;
  grown.bounds.completion = 1200;
  EXPECT_EQ(journal->Read(journal->recovered()[0]).terms, grown);
  EXPECT_FALSE(journal->IsOld(journal->recovered()[0]));
}

TEST_F(JournalTest, WithoutWholeTermsNothingRan) {
  {
    const auto journal = Open();
    (void)*journal->Take(Entry());
    TakeWithTerms(*journal);
    TakeWithTerms(*journal);
  }
  const char wrong = 'x';
  Scribble(1, offsetof(JournalSlot, terms) + offsetof(JournalSlot::Terms, variant), &wrong, 1);
  const auto journal = Open();
  EXPECT_EQ(journal->recovered().size(), 1U);
  EXPECT_EQ(journal->used_count(), 1);
  EXPECT_EQ(journal->torn_count(), 0) << "its names are whole: it is no damage";
}

TEST_F(JournalTest, ASlotDoesNotInheritTheTermsOfTheOneBefore) {
  {
    const auto journal = Open(1);
    journal->Free(TakeWithTerms(*journal));
    (void)*journal->Take(Entry());
  }
  EXPECT_TRUE(Open(1)->recovered().empty());
}

TEST_F(JournalTest, HasRoomForTheLongestNames) {
  const std::string id(63, 'x');
  PriceKey price{"models/" + id + "/versions/" + id + "/variants/" + id,
                 "priceBooks/01890000-0000-7000-8000-000000000000", "dedicated"};
  const std::string key = "tenants/" + id + "/projects/" + id + "/workloadRules/" + id;
  EXPECT_TRUE(Journal::CheckNames(price, key));
  EXPECT_EQ(Journal::CheckNames(price, key + "xx").error().reason, "INVALID_NAME");
  price.variant += std::string(20, 'x');
  EXPECT_EQ(Journal::CheckNames(price, key).error().reason, "INVALID_NAME");
}

TEST_F(JournalTest, HasAnIdThatStays) {
  const Uuid id = Open()->gateway_id();
  EXPECT_FALSE(id.is_nil());
  EXPECT_EQ(Open()->gateway_id(), id);
}

TEST_F(JournalTest, ALaterFormatIsRefusedAndLeftAlone) {
  (void)*Open()->Take(Entry());
  const std::uint32_t later = kJournalVersion + 1;
  Scribble(0, offsetof(JournalSlot, version), &later, sizeof(later));
  const auto slot_too_new = Journal::Open(directory_.path(), 4, kLost);
  ASSERT_FALSE(slot_too_new);
  EXPECT_EQ(slot_too_new.error().reason, "JOURNAL_TOO_NEW");

  const int fd = ::open((directory_ / "requests.journal").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::pwrite(fd, &later, sizeof(later), offsetof(JournalFileHead, version)),
            static_cast<ssize_t>(sizeof(later)));
  const auto file_too_new = Journal::Open(directory_.path(), 4, kLost);
  ASSERT_FALSE(file_too_new);
  EXPECT_EQ(file_too_new.error().reason, "JOURNAL_TOO_NEW");
  EXPECT_NE(file_too_new.error().message.find("has format 3"), std::string::npos) << file_too_new.error().message;
  std::uint32_t still = 0;
  ASSERT_EQ(::pread(fd, &still, sizeof(still), offsetof(JournalFileHead, version)),
            static_cast<ssize_t>(sizeof(still)));
  EXPECT_EQ(still, later) << "the version that wrote it can read it still";
  ::close(fd);
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
  TakeWithTerms(*Open(4));
  const auto journal = Open(64);
  EXPECT_EQ(journal->slot_count(), 4);
  EXPECT_EQ(journal->recovered().size(), 1U);
}

}  // namespace
}  // namespace allod::gateway::metering::journal_test
