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
  // Overwrites bytes of slot 0, as a crash of the machine could leave them.
  void Scribble(std::size_t offset, const void* data, std::size_t size) {
    const int fd = ::open((directory_ / "requests.journal").c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_EQ(::pwrite(fd, data, size, static_cast<off_t>(kJournalSlotBytes + offset)), static_cast<ssize_t>(size));
    ::close(fd);
  }

  TempDir directory_;
};

TEST_F(JournalTest, ASlotThatWasEndingEndsAsItWouldHave) {
  int taken_back = 0;
  {
    const auto journal = Open();
    const int ending = *journal->Take(Entry());
    journal->SetPromptTokens(ending, 12);
    journal->SetOutcomeIfLost(ending, kCompleted);
    taken_back = *journal->Take(Entry());
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

// A file as the first format had it, byte by byte: no version in head or slot, and the checksum that of the immutable
// part alone. One slot is finalised, one was open when its gateway died, one is free.
class JournalOfBefore : public JournalTest {
 protected:
  static void Put(std::string& file, std::size_t offset, const void* data, std::size_t size) {
    std::memcpy(file.data() + offset, data, size);
  }
  template <typename T>
  static void Put(std::string& file, std::size_t offset, T value) {
    Put(file, offset, &value, sizeof(value));
  }
  static std::uint32_t Crc32(const std::string& bytes) {
    std::uint32_t crc = 0xffffffff;
    for (const char c : bytes) {
      crc ^= static_cast<std::uint8_t>(c);
      for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xedb88320 : 0);
    }
    return ~crc;
  }
  static void PutSlot(std::string& file, int slot, std::uint32_t state, std::uint32_t outcome, std::int64_t prompt,
                      std::int64_t completion, const Uuid& id) {
    const std::size_t at = 512 * (static_cast<std::size_t>(slot) + 1);
    Put(file, at + 8, id.bytes().data(), 16);
    Put(file, at + 24, std::int64_t{1'900'000'000'000});
    Put(file, at + 32, "tenants/ke", 10);
    Put(file, at + 112, "tenants/ke/projects/p/instances/i", 33);
    Put(file, at, state);
    Put(file, at + 4, Crc32(file.substr(at + 8, 392)));
    Put(file, at + 400, std::uint32_t{1});  // reserved
    Put(file, at + 404, outcome);
    Put(file, at + 408, prompt);
    Put(file, at + 416, completion);
  }
  void WriteFile() {
    std::string file(std::size_t{512} * 4, '\0');
    Put(file, 0, "ALDJRNL1", 8);
    Put(file, 8, std::uint32_t{512});
    Put(file, 12, std::uint32_t{3});
    PutSlot(file, 0, 2, kCompleted, 12, 5, finalised_);
    PutSlot(file, 1, 1, 0, 7, 3, lost_);
    directory_.Write("requests.journal", file);
  }

  const Uuid finalised_ = Uuid::V7();
  const Uuid lost_ = Uuid::V7();
};

TEST_F(JournalOfBefore, IsTakenOverWithWhatWaitsInIt) {
  WriteFile();
  for (int i = 0; i < 2; ++i) {  // and again from the file that this version has written
    const auto journal = Open();
    ASSERT_NE(journal, nullptr);
    EXPECT_EQ(journal->torn_count(), 0);
    EXPECT_EQ(journal->slot_count(), 3);
    ASSERT_EQ(journal->recovered().size(), 2U);
    for (const int slot : journal->recovered()) {
      const Settlement settlement = journal->Read(slot);
      const bool lost = settlement.entry.request_id == lost_;
      EXPECT_EQ(settlement.entry.request_id, lost ? lost_ : finalised_);
      EXPECT_EQ(settlement.entry.tenant, "tenants/ke");
      EXPECT_EQ(settlement.entry.instance, "tenants/ke/projects/p/instances/i");
      EXPECT_EQ(settlement.outcome, lost ? kLost : kCompleted);
      EXPECT_EQ(settlement.prompt_tokens, lost ? 7 : 12);
      EXPECT_EQ(settlement.completion_tokens, lost ? 3 : 5);
      EXPECT_TRUE(settlement.reserved);
    }
  }
  const auto journal = Open();
  for (const int slot : std::vector<int>(journal->recovered())) journal->Free(slot);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(journal->Take(Entry())) << "its slots are used again";
}

TEST_F(JournalTest, ALaterFormatIsRefusedAndLeftAlone) {
  (void)*Open()->Take(Entry());
  const std::uint32_t later = kJournalVersion + 1;
  Scribble(offsetof(JournalSlot, version), &later, sizeof(later));
  const auto slot_too_new = Journal::Open(directory_.path(), 4, kLost);
  ASSERT_FALSE(slot_too_new);
  EXPECT_EQ(slot_too_new.error().reason, "JOURNAL_TOO_NEW");

  const int fd = ::open((directory_ / "requests.journal").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_EQ(::pwrite(fd, &later, sizeof(later), offsetof(JournalFileHead, version)),
            static_cast<ssize_t>(sizeof(later)));
  const auto file_too_new = Journal::Open(directory_.path(), 4, kLost);
  ASSERT_FALSE(file_too_new);
  EXPECT_EQ(file_too_new.error().reason, "JOURNAL_TOO_NEW");
  EXPECT_NE(file_too_new.error().message.find("has format 2"), std::string::npos) << file_too_new.error().message;
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
  (void)*Open(4)->Take(Entry());
  const auto journal = Open(64);
  EXPECT_EQ(journal->slot_count(), 4);
  EXPECT_EQ(journal->recovered().size(), 1U);
}

}  // namespace
}  // namespace allod::gateway::metering::journal_test
