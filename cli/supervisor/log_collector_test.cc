#include "cli/supervisor/log_collector.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <new>
#include <thread>

#include "tests/support/temp_dir.h"

namespace {

// Larger pieces of memory are not given out: a machine that is short of it.
std::atomic<std::size_t> largest_piece{SIZE_MAX};

}  // namespace

void* operator new(std::size_t bytes) {
  void* const memory = bytes <= largest_piece ? std::malloc(bytes) : nullptr;
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void* operator new(std::size_t bytes, const std::nothrow_t& /*tag*/) noexcept {
  return bytes <= largest_piece ? std::malloc(bytes) : nullptr;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t /*bytes*/) noexcept { std::free(memory); }

namespace allod::cli::supervisor::log_collector_test {
namespace {

class LogCollectorTest : public testing::Test {
 protected:
  static void Write(const OwnedFd& fd, const std::string& text) {
    ASSERT_EQ(::write(fd.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  std::vector<std::string> Lines(const std::string& name) const {
    std::ifstream in(dir_.path() / name);
    std::vector<std::string> out;
    for (std::string line; std::getline(in, line);) out.push_back(line);
    return out;
  }

  TempDir dir_;
};

TEST_F(LogCollectorTest, KeepsEveryLineWholeWhileFilesChange) {
  constexpr int kWriters = 4;
  constexpr int kLines = 5000;
  {
    LogCollector collector({.file_bytes_max = 20'000, .old_files_max = 100});
    std::vector<std::jthread> writers;
    for (int w = 0; w < kWriters; ++w) {
      writers.emplace_back([fd = collector.Open(dir_.path() / "x.log").value(), w] {
        for (int i = 0; i < kLines; ++i) {
          const std::string line = fmt::format("{} {} {}\n", w, i, std::string(static_cast<std::size_t>(i % 40), '.'));
          // In pieces, as a process with a small buffer writes.
          Write(fd, line.substr(0, line.size() / 2));
          Write(fd, line.substr(line.size() / 2));
        }
      });
    }
  }
  std::vector<int> next(kWriters, 0);
  for (int file = 100; file >= 0; --file) {
    const std::string name = file == 0 ? "x.log" : fmt::format("x.log.{}", file);
    if (!std::filesystem::exists(dir_.path() / name)) continue;
    EXPECT_LE(std::filesystem::file_size(dir_.path() / name), 20'000U);
    for (const std::string& line : Lines(name)) {
      int writer = -1, number = -1;
      ASSERT_EQ(std::sscanf(line.c_str(), "%d %d", &writer, &number), 2) << line;
      ASSERT_EQ(number, next.at(static_cast<std::size_t>(writer))++) << "of writer " << writer;
    }
  }
  EXPECT_EQ(next, std::vector<int>(kWriters, kLines));
}

TEST_F(LogCollectorTest, TakesNoMoreRoomThanItsFiles) {
  LogCollector collector({.file_bytes_max = 1000, .old_files_max = 2});
  OwnedFd fd = collector.Open(dir_.path() / "x.log").value();
  for (int i = 0; i < 1000; ++i) Write(fd, fmt::format("line {:04}\n", i));
  fd.Reset();
  collector.Flush();
  EXPECT_EQ(Lines("x.log").back(), "line 0999");
  EXPECT_TRUE(std::filesystem::exists(dir_.path() / "x.log.2"));
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "x.log.3"));
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) bytes += entry.file_size();
  EXPECT_LE(bytes, 3000U);
}

TEST_F(LogCollectorTest, GoesOnInAFileThatIsThere) {
  dir_.Write("x.log", "of before\n");
  {
    LogCollector collector;
    OwnedFd fd = collector.Open(dir_.path() / "x.log").value();
    Write(fd, "now\nwithout an end");
    fd.Reset();
  }
  EXPECT_EQ(Lines("x.log"), (std::vector<std::string>{"of before", "now", "without an end"}));
}

TEST_F(LogCollectorTest, BreaksALineWithoutEnd) {
  LogCollector collector;
  OwnedFd fd = collector.Open(dir_.path() / "x.log").value();
  for (int i = 0; i < 20; ++i) Write(fd, std::string(10'000, 'x'));
  fd.Reset();
  collector.Flush();
  EXPECT_GE(Lines("x.log").size(), 3U);
}

TEST_F(LogCollectorTest, GoesOnAfterWhatARoundThrows) {
  LogCollector collector;
  OwnedFd bad = collector.Open(dir_.path() / "bad.log").value();
  OwnedFd good = collector.Open(dir_.path() / "good.log").value();
  const std::string line(60'000, 'x');
  largest_piece = 30'000;
  Write(bad, line);
  Write(good, "meanwhile\n");
  for (int i = 0; i < 10; ++i) collector.Flush();
  largest_piece = SIZE_MAX;
  Write(bad, "\nafterwards\n");
  collector.Flush();
  bad.Reset();
  good.Reset();
  EXPECT_EQ(Lines("good.log"), std::vector<std::string>{"meanwhile"});
  EXPECT_EQ(Lines("bad.log").back(), "afterwards");
}

TEST_F(LogCollectorTest, ADiskThatTakesNothingHoldsNobodyUp) {
  LogCollector collector;
  OwnedFd fd = collector.Open(dir_.path() / "no such directory" / "x.log").value();
  for (int i = 0; i < 300; ++i) Write(fd, std::string(9'999, 'x') + "\n");  // 3 MiB through a pipe of one
  collector.Flush();
  std::filesystem::create_directory(dir_.path() / "no such directory");
  Write(fd, "again\n");
  fd.Reset();
  collector.Flush();
  const auto lines = Lines("no such directory/x.log");
  ASSERT_GE(lines.size(), 2U);
  // Where it stands among them depends on how far the pipe was read when the directory came.
  EXPECT_EQ(std::ranges::count_if(lines,
                                  [](const std::string& line) {
                                    return line.find("lines could not be written here)") != std::string::npos;
                                  }),
            1);
  EXPECT_EQ(lines.back(), "again");
}

}  // namespace
}  // namespace allod::cli::supervisor::log_collector_test
