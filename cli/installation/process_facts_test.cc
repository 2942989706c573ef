#include "cli/installation/process_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace allod::cli::installation::process_facts_test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string Status(const std::string& uid, const std::string& bounding, int no_new_privs, int seccomp) {
  return "Name:\tallod-billing\nUid:\t0\t" + uid + "\t0\t0\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n" +
         "CapEff:\t0000000000000000\nCapBnd:\t" + bounding + "\nNoNewPrivs:\t" + std::to_string(no_new_privs) +
         "\nSeccomp:\t" + std::to_string(seccomp) + "\nSeccomp_filters:\t1\n";
}

TEST(ProcessFacts, NamesWhatTheKernelConfirms) {
  const auto all = ParseProcessFacts(Status("2130706434", "0000000000000000", 1, 2));
  ASSERT_TRUE(all);
  EXPECT_EQ(all->uid, 2130706434U);
  EXPECT_THAT(all->layers, ElementsAre("no_capabilities", "no_new_privs", "seccomp"));
  const auto nothing = ParseProcessFacts(Status("0", "000001ffffffffff", 0, 0));
  ASSERT_TRUE(nothing);
  EXPECT_THAT(nothing->layers, IsEmpty());
}

TEST(ProcessFacts, ACapabilityThatMayComeBackIsOne) {
  EXPECT_THAT(ParseProcessFacts(Status("7", "0000000000000001", 0, 0))->layers, IsEmpty());
}

TEST(ProcessFacts, WhatIsNoStatusIsNothing) {
  EXPECT_FALSE(ParseProcessFacts(""));
  EXPECT_FALSE(ParseProcessFacts("Uid: nobody\n"));
  // Without the lines of capabilities nothing is said of them.
  EXPECT_THAT(ParseProcessFacts("Uid:\t1\t1\t1\t1\n")->layers, IsEmpty());
}

TEST(ProcessFacts, AProcessesOwnWordDoesNotReplaceTheKernels) {
  const ProcessFacts facts{7, {"no_new_privs"}};
  const std::vector<std::string> told = {"no_capabilities", "no_new_privs", "seccomp", "landlock", "rlimits"};
  EXPECT_THAT(LayersInForce(facts, told, 1), ElementsAre("own_uid", "no_new_privs", "landlock", "rlimits"));
  EXPECT_THAT(LayersInForce(facts, {}, 2), ElementsAre("no_new_privs")) << "a user that is shared is nobody's own";
  EXPECT_THAT(LayersInForce({0, {}}, {}, 1), IsEmpty()) << "root is no user of its own";
}

TEST(ProcessFacts, ReadsItself) {
  ASSERT_TRUE(ReadProcessFacts(getpid()));
  EXPECT_EQ(ReadProcessFacts(getpid())->uid, geteuid());
  EXPECT_FALSE(ReadProcessFacts(-1));
}

TEST(ProcessFacts, FindsWhoRunsAsOneOfManyUsers) {
  EXPECT_TRUE(FindProcessOfUsers(geteuid(), 1));
  EXPECT_FALSE(FindProcessOfUsers(0x7ffffff0, 16));
}

}  // namespace
}  // namespace allod::cli::installation::process_facts_test
