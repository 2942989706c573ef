// The list of fault points against the sources.
#include "services/common/fault_point.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace allod::fault_point_test {
namespace {

namespace fs = std::filesystem;
using testing::IsEmpty;
using testing::UnorderedElementsAreArray;

std::string Read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

// The files that have each point, by its enumerator; those of tests do not count.
std::map<std::string, std::vector<std::string>> Uses(const fs::path& source) {
  static const std::regex kUse("(?:Pass|Try)FaultPoint\\(FaultPoint::(k[A-Za-z]+)\\)");
  std::map<std::string, std::vector<std::string>> out;
  for (const char* part : {"services", "gateway", "inference", "scheduler", "cli"}) {
    for (const auto& entry : fs::recursive_directory_iterator(source / part)) {
      const std::string file = entry.path().lexically_relative(source).string();
      if (!file.ends_with(".cc") || file.ends_with("_test.cc")) continue;
      const std::string text = Read(entry.path());
      for (auto it = std::sregex_iterator(text.begin(), text.end(), kUse); it != std::sregex_iterator(); ++it) {
        out[(*it)[1]].push_back(file);
      }
    }
  }
  return out;
}

TEST(FaultPoints, EachIsUsedOnceAndWhereTheListSays) {
  const char* source = std::getenv("ALLOD_SOURCE_DIR");
  ASSERT_NE(source, nullptr) << "run this through ctest";
  std::map<std::string, std::vector<std::string>> listed;
  for (const FaultPointInfo& info : kFaultPoints) listed[std::string(info.enumerator)] = {std::string(info.file)};
  EXPECT_THAT(Uses(source), UnorderedElementsAreArray(listed));
}

TEST(FaultPoints, TheListIsInOrderAndEveryNameIsItsOwn) {
  EXPECT_GE(kFaultPoints.size(), 60U);
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kFaultPoints.size(); ++i) {
    EXPECT_EQ(static_cast<std::size_t>(kFaultPoints[i].point), i);
    EXPECT_FALSE(kFaultPoints[i].meaning.empty()) << kFaultPoints[i].name;
    names.insert(kFaultPoints[i].name);
  }
  EXPECT_EQ(names.size(), kFaultPoints.size());
}

TEST(FaultPoints, ReleaseProgramsHaveNothingThatCouldArmThem) {
  EXPECT_TRUE(HitFaultPoint == nullptr) << "this test is linked as a program is";
  const char* build = std::getenv("ALLOD_BUILD_DIR");
  ASSERT_NE(build, nullptr) << "run this through ctest";
  std::vector<std::string> armed;
  for (const char* folder : {"bin", "tests"}) {
    for (const auto& entry : fs::directory_iterator(fs::path(build) / folder)) {
      const std::string name = entry.path().filename().string();
      if (!name.starts_with("allod-") || !entry.is_regular_file()) continue;
      const bool can = Read(entry.path()).find("ALLOD_FAULT_PAGE") != std::string::npos;
      if (folder == std::string_view("bin") && can) armed.push_back(name);
      EXPECT_TRUE(can || !name.ends_with("-armed")) << name << " is to be armed";
    }
  }
  EXPECT_THAT(armed, IsEmpty());
}

}  // namespace
}  // namespace allod::fault_point_test
