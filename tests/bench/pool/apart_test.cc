#include "tests/bench/pool/apart.h"

#include <gtest/gtest.h>

#include <csignal>
#include <thread>

namespace allod::bench::apart_test {
namespace {

using namespace std::chrono_literals;
using Failures = std::vector<std::pair<std::string, std::string>>;

TEST(RunApart, WhatFailsCrashesOrHangsIsNamedAndTheOthersStillRun) {
  const auto run = [](const std::vector<std::string>& names, const Progress& progress) {
    for (const std::string& name : names) {
      progress.Begins(name);
      if (name == "crashes") ::raise(SIGKILL);
      if (name == "leaves") ::_exit(7);
      if (name == "hangs") std::this_thread::sleep_for(1h);
      progress.Ended(name == "fails" ? "the gateway\nis gone" : "");
    }
  };
  const Failures failures = RunApart({"a", "fails", "b", "crashes", "leaves", "hangs", "c"}, 2s, run);
  const Failures expected = {{"fails", "the gateway is gone"},
                             {"crashes", "its process was ended by signal 9"},
                             {"leaves", "its process ended with status 7 in the middle"},
                             {"hangs", "nothing came of it in 2 s"}};
  EXPECT_EQ(failures, expected);
}

TEST(RunApart, NothingFailsWhereAllWentWell) {
  const auto run = [](const std::vector<std::string>& names, const Progress& progress) {
    for (const std::string& name : names) {
      progress.Begins(name);
      progress.Ended("");
    }
  };
  EXPECT_TRUE(RunApart({"a", "b"}, 10s, run).empty());
  EXPECT_TRUE(RunApart({}, 10s, run).empty());
  // One that says nothing of the last.
  EXPECT_EQ(RunApart({"a"}, 10s, [](const auto&, const Progress&) {}).size(), 1U);
}

}  // namespace
}  // namespace allod::bench::apart_test
