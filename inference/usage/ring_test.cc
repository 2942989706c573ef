// Usage rings: one slot, one terminal event, whoever dies and whatever stands in the file.

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <thread>

#include "inference/usage/ring_deed.h"
#include "inference/usage/ring_mapping.h"
#include "inference/usage/ring_reader.h"
#include "inference/usage/ring_recorder.h"
#include "tests/support/temp_dir.h"

namespace allod::inference::usage::ring_test {
namespace {

const std::string kReplica = "01900000-0000-7000-8000-00000000abcd";
const std::string kTenant = "01900000-0000-5000-8000-0000000000aa";
const std::string kInstance = "tenants/ke/projects/p/instances/i";

std::string RequestId(int i) { return Uuid::FromName("request/" + std::to_string(i)).ToString(); }

class UsageRingTest : public testing::Test {
 protected:
  void Create(std::uint32_t slots) {
    std::filesystem::remove(path_);
    auto made = RingFile::Create(path_, kRingId, kReplica, slots);
    ASSERT_TRUE(made) << made.error().message;
    slots_ = slots;
    reader_.emplace(*std::move(made));
    recorder_ = std::make_unique<RingRecorder>(Map());
  }
  // As its worker has it.
  RingMapping Map() const { return *RingMapping::FromFd(RingFile::Open(path_, slots_)->fd()); }
  // As another agent reads it.
  RingReader Reopen() const { return RingReader(*RingFile::Open(path_, slots_)); }
  std::vector<SlotContent> Closed(std::size_t max = 10) const { return *reader_->Closed(max); }
  bool Empty() const { return *reader_->Empty(); }
  std::unique_ptr<ports::UsageSlot> Open(int request = 1) {
    auto slot = recorder_->Open(RequestId(request), kTenant, kInstance);
    EXPECT_TRUE(slot) << slot.error().message;
    return slot ? *std::move(slot) : nullptr;
  }
  void Overwrite(std::streamoff at, const std::string& bytes) const {
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
  // What a worker says to it, and an agent that has no deed for it.
  std::string OpenError() const {
    const auto deed = DeedOfEarlierVersion(path_);
    const auto mapped = RingMapping::FromFd(RingFile::Open(path_, 1)->fd());
    EXPECT_EQ(deed.has_value(), mapped.has_value());
    return mapped ? "opened" : mapped.error().reason;
  }

  TempDir directory_;
  const std::filesystem::path path_ = directory_ / "a.ring";
  const Uuid kRingId = Uuid::FromName("the ring");
  std::uint32_t slots_ = 0;
  std::optional<RingReader> reader_;
  std::unique_ptr<RingRecorder> recorder_;
};

TEST_F(UsageRingTest, ARequestBecomesOneEvent) {
  Create(4);
  EXPECT_TRUE(Empty());
  auto slot = Open();
  EXPECT_TRUE(Closed().empty());  // it runs
  slot->CountPrompt(7, 3);
  slot->CountPrompt(20, 3);
  for (int i = 0; i < 5; ++i) slot->CountSampled();
  slot->Finish(ports::UsageOutcome::kCompleted);
  slot->Finish(ports::UsageOutcome::kFailed);  // the first word counts
  slot.reset();
  EXPECT_EQ(*reader_->closed_total(), 1U);
  const auto events = Closed();
  ASSERT_EQ(events.size(), 1U);
  const SlotContent& event = events[0];
  EXPECT_EQ(event.request_id.ToString(), RequestId(1));
  EXPECT_EQ(event.tenant.ToString(), kTenant);
  EXPECT_EQ(event.instance, kInstance);
  EXPECT_EQ(event.prompt_tokens, 20);
  EXPECT_EQ(event.cached_prompt_tokens, 3);
  EXPECT_EQ(event.sampled_tokens, 5);
  EXPECT_EQ(event.outcome, static_cast<std::uint32_t>(ports::UsageOutcome::kCompleted));
  EXPECT_GT(event.start_us, 0);
  EXPECT_GE(event.end_us, event.start_us);
}

TEST_F(UsageRingTest, ASlotHasTheSameNumberHoweverOftenAndByWhomeverItIsRead) {
  Create(4);
  Open()->Finish(ports::UsageOutcome::kCompleted);
  const SlotContent content = Closed().at(0);
  EXPECT_EQ(Closed().at(0).sequence, content.sequence);
  EXPECT_EQ(Reopen().Closed(10)->at(0).sequence, content.sequence);
  ASSERT_TRUE(reader_->Free(content.slot));
  EXPECT_TRUE(Empty());
  EXPECT_TRUE(Closed().empty());
  // The slot's next request is another event.
  Open()->Finish(ports::UsageOutcome::kCompleted);
  EXPECT_NE(Closed().at(0).sequence, content.sequence);
}

TEST_F(UsageRingTest, ASlotThatIsDroppedWithoutAWordFailed) {
  Create(4);
  Open().reset();
  EXPECT_EQ(Closed().at(0).outcome, static_cast<std::uint32_t>(ports::UsageOutcome::kFailed));
}

TEST_F(UsageRingTest, FreeingTwiceLeavesTheNextRequestAlone) {
  Create(1);
  Open(1)->Finish(ports::UsageOutcome::kCompleted);
  const std::uint32_t slot = Closed().at(0).slot;
  ASSERT_TRUE(reader_->Free(slot));
  auto next = Open(2);
  ASSERT_TRUE(reader_->Free(slot));
  next->CountSampled();
  next->Finish(ports::UsageOutcome::kCompleted);
  EXPECT_EQ(Closed().at(0).sampled_tokens, 1);
}

TEST_F(UsageRingTest, AFullRingRefusesWithARetryAndTakesRequestsAgainLater) {
  Create(3);
  std::vector<std::unique_ptr<ports::UsageSlot>> open;
  for (int i = 0; i < 3; ++i) open.push_back(Open(i));
  const auto refused = recorder_->Open(RequestId(9), kTenant, kInstance);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
  EXPECT_EQ(refused.error().reason, "USAGE_RING_FULL");
  EXPECT_TRUE(refused.error().retry_after);
  open[1]->Finish(ports::UsageOutcome::kCancelled);
  EXPECT_FALSE(recorder_->Open(RequestId(9), kTenant, kInstance));  // closed is not free yet
  ASSERT_TRUE(reader_->Free(Closed().at(0).slot));
  EXPECT_TRUE(recorder_->Open(RequestId(9), kTenant, kInstance));
}

TEST_F(UsageRingTest, RefusesWhatIsNoIdOrTooLong) {
  Create(2);
  EXPECT_EQ(recorder_->Open("no uuid", kTenant, kInstance).error().reason, "INVALID_REQUEST_ID");
  EXPECT_EQ(recorder_->Open(RequestId(1), "", kInstance).error().reason, "INVALID_TENANT");
  EXPECT_EQ(recorder_->Open(RequestId(1), kTenant, std::string(5000, 'x')).error().reason, "INVALID_INSTANCE");
  EXPECT_TRUE(Empty());
}

TEST_F(UsageRingTest, GivesTheOldestFirstAndNoMoreThanAskedFor) {
  Create(8);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 8; ++i) Open(round * 8 + i)->Finish(ports::UsageOutcome::kCompleted);
    for (int i = 0; i < 8; i += 4) {
      const auto events = Closed(4);
      ASSERT_EQ(events.size(), 4U);
      for (int k = 0; k < 4; ++k) {
        EXPECT_EQ(events[static_cast<std::size_t>(k)].request_id.ToString(), RequestId(round * 8 + i + k));
        ASSERT_TRUE(reader_->Free(events[static_cast<std::size_t>(k)].slot));
      }
    }
  }
}

TEST_F(UsageRingTest, ManyThreadsOpenAndCloseWhileOneCollects) {
  Create(16);
  constexpr int kThreads = 4;
  constexpr int kEach = 500;
  std::atomic<int> running = kThreads;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach;) {
        auto slot = recorder_->Open(RequestId(t * kEach + i), kTenant, kInstance);
        if (!slot) {
          std::this_thread::yield();
          continue;
        }
        (*slot)->CountPrompt(i, 0);
        for (int k = 0; k < i % 7; ++k) (*slot)->CountSampled();
        (*slot)->Finish(ports::UsageOutcome::kCompleted);
        ++i;
      }
      --running;
    });
  }
  std::map<Uuid, std::int64_t> sampled;  // by request
  while (running > 0 || !Empty()) {
    for (const SlotContent& event : Closed(5)) {
      EXPECT_TRUE(sampled.emplace(event.request_id, event.sampled_tokens).second);
      ASSERT_TRUE(reader_->Free(event.slot));
    }
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(sampled.size(), static_cast<std::size_t>(kThreads * kEach));
  for (int i = 0; i < kThreads * kEach; ++i) {
    EXPECT_EQ(sampled[*Uuid::Parse(RequestId(i))], i % kEach % 7) << i;
  }
  EXPECT_EQ(*reader_->closed_total(), static_cast<std::uint64_t>(kThreads * kEach));
}

// What a writer that is going to be killed tells of itself, where it survives.
struct Diary {
  std::atomic<int> began = 0;  // opening the slot of this request was begun
  std::atomic<int> opened = 0;
  std::atomic<int> finishing = 0;
  std::atomic<int> finished = 0;
  std::atomic<int> newest_sampled = 0;
};

[[noreturn]] void WriteUntilKilled(const std::filesystem::path& path, Diary& diary) {
  RingRecorder recorder(*RingMapping::FromFd(RingFile::Open(path, kSlotsMax / 4)->fd()));
  for (int i = 0;; ++i) {
    diary.began = i + 1;
    auto slot = recorder.Open(RequestId(i), kTenant, kInstance);
    if (!slot) _exit(1);
    diary.newest_sampled = 0;
    diary.opened = i + 1;
    (*slot)->CountPrompt(11, 0);
    for (int k = 0; k < 20; ++k) {
      (*slot)->CountSampled();
      diary.newest_sampled = k + 1;
    }
    diary.finishing = i + 1;
    (*slot)->Finish(ports::UsageOutcome::kCompleted);
    diary.finished = i + 1;
  }
}

TEST_F(UsageRingTest, AWriterKilledAnywhereLeavesEachRequestInOneTerminalState) {
  void* shared = mmap(nullptr, sizeof(Diary), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  std::mt19937 random(7);
  int killed_while_open = 0;
  for (int round = 0; round < 60; ++round) {
    Create(kSlotsMax);
    auto& diary = *new (shared) Diary;
    const pid_t writer = fork();
    if (writer == 0) WriteUntilKilled(path_, diary);
    // In the middle, long before its ring is full and it waits.
    const int until = 1 + static_cast<int>(random() % 150);
    while (diary.began < until) std::this_thread::yield();
    kill(writer, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(writer, &status, 0), writer);
    ASSERT_TRUE(WIFSIGNALED(status));

    RingReader reader = Reopen();  // another agent than the one that made it
    ASSERT_TRUE(reader.CloseOpen());
    ASSERT_TRUE(reader.CloseOpen());  // does nothing twice
    std::set<std::uint64_t> numbers;
    int completed = 0;
    int lost = 0;
    const auto closed = *reader.Closed(kSlotsMax);
    for (const SlotContent& event : closed) {
      EXPECT_TRUE(numbers.insert(event.sequence).second);
      if (event.outcome == static_cast<std::uint32_t>(ports::UsageOutcome::kCompleted)) {
        ++completed;
        EXPECT_EQ(event.sampled_tokens, 20);
        EXPECT_EQ(event.prompt_tokens, 11);
      } else {
        EXPECT_EQ(event.outcome, static_cast<std::uint32_t>(ports::UsageOutcome::kLost));
        ++lost;
        // No token that was counted is forgotten.
        if (diary.began == diary.opened) {
          EXPECT_GE(event.sampled_tokens, diary.newest_sampled);
        }
        EXPECT_LE(event.sampled_tokens, 20);
      }
      ASSERT_TRUE(reader.Free(event.slot));
    }
    EXPECT_TRUE(*reader.Empty());
    EXPECT_GE(completed, diary.finished);
    EXPECT_LE(completed, diary.finishing);
    EXPECT_GE(completed + lost, diary.opened);
    EXPECT_LE(completed + lost, diary.began);
    EXPECT_LE(lost, 1);
    killed_while_open += lost;
  }
  EXPECT_GT(killed_while_open, 0);
  munmap(shared, sizeof(Diary));
}

TEST_F(UsageRingTest, RefusesFilesThatAreNoRings) {
  std::ofstream(path_) << "short";
  EXPECT_EQ(OpenError(), "USAGE_RING_DAMAGED");
  std::filesystem::resize_file(path_, 0);
  EXPECT_EQ(OpenError(), "USAGE_RING_DAMAGED");
  std::filesystem::resize_file(path_, RingFileBytes(4));  // zeros
  EXPECT_EQ(OpenError(), "USAGE_RING_DAMAGED");
  Create(4);
  EXPECT_EQ(OpenError(), "opened");
  std::filesystem::resize_file(path_, RingFileBytes(4) - 1);
  EXPECT_EQ(OpenError(), "USAGE_RING_DAMAGED");
  std::filesystem::resize_file(path_, RingFileBytes(4) + kSlotBytes);
  EXPECT_EQ(OpenError(), "USAGE_RING_DAMAGED");
  std::filesystem::resize_file(path_, RingFileBytes(4));
  for (const std::uint32_t slots : {0U, 5U, kSlotsMax + 1, 0xffffffffU}) {
    Overwrite(offsetof(RingHead, slot_count), std::string(reinterpret_cast<const char*>(&slots), sizeof(slots)));
    EXPECT_EQ(OpenError(), "USAGE_RING_DAMAGED") << slots;
  }
  Overwrite(0, "XXXXXXXX");
  EXPECT_EQ(OpenError(), "USAGE_RING_DAMAGED");
}

TEST_F(UsageRingTest, DoesNotFollowLinksNorReplaceFiles) {
  Create(4);
  std::filesystem::create_symlink(path_, directory_ / "link.ring");
  EXPECT_FALSE(RingFile::Open(directory_ / "link.ring", 4));
  EXPECT_FALSE(DeedOfEarlierVersion(directory_ / "link.ring"));
  EXPECT_FALSE(RingFile::Create(path_, kRingId, kReplica, 4));
  EXPECT_FALSE(RingFile::Create(directory_ / "link.ring", kRingId, kReplica, 4));
  EXPECT_EQ(RingFile::Open(directory_ / "none.ring", 4).error().reason, "USAGE_RING_FAILED");
}

// The worker has the file's descriptor. Where nothing else stops it, it can cut the file short, and whoever had it
// mapped would die of a bus error.
TEST_F(UsageRingTest, AFileThatItsWorkerCutsShortOrMakesLongIsPutRight) {
  Create(4);
  Open(1)->Finish(ports::UsageOutcome::kCompleted);
  EXPECT_FALSE(*reader_->Restore());
  std::filesystem::resize_file(path_, 0);
  EXPECT_FALSE(reader_->Closed(10));
  EXPECT_FALSE(reader_->closed_total());
  EXPECT_FALSE(reader_->CloseOpen());
  EXPECT_TRUE(*reader_->Restore());
  EXPECT_TRUE(Empty());
  std::filesystem::resize_file(path_, RingFileBytes(4) * 1000);
  EXPECT_TRUE(*reader_->Restore());
  EXPECT_EQ(std::filesystem::file_size(path_), RingFileBytes(4));
  EXPECT_TRUE(reader_->CloseOpen());
}

TEST_F(UsageRingTest, WhatAWorkerWritesOverTheHeadChangesNothing) {
  Create(4);
  for (int i = 0; i < 3; ++i) Open(i)->Finish(ports::UsageOutcome::kCompleted);
  const RingMapping ring = Map();
  ring.head().slot_count = 0xffffffff;
  std::memset(ring.head().ring_id, 0xff, sizeof(ring.head().ring_id));
  ring.head().closed_total = 0;
  std::memset(static_cast<void*>(ring.slot(1).instance), 0xff, sizeof(ring.slot(1).instance));
  const auto events = Closed();
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[1].instance, std::string(kInstanceBytesMax, '?'));  // can be sent as text
  for (const SlotContent& e : events) ASSERT_TRUE(reader_->Free(e.slot));
  EXPECT_TRUE(Empty());
}

TEST_F(UsageRingTest, AStateThatIsNoneIsClosedAsLost) {
  Create(2);
  const auto open = Open();
  open->CountSampled();
  Map().slot(1).state = static_cast<SlotState>(77);
  ASSERT_TRUE(reader_->CloseOpen());
  for (const SlotContent& event : Closed()) {
    EXPECT_EQ(event.outcome, static_cast<std::uint32_t>(ports::UsageOutcome::kLost));
    ASSERT_TRUE(reader_->Free(event.slot));
  }
  EXPECT_TRUE(Empty());
}

}  // namespace
}  // namespace allod::inference::usage::ring_test
