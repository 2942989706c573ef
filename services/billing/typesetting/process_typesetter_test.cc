// allod-invoice as billing starts it: confined, strict, and of no weight to the one that asked when it fails.
#include "services/billing/typesetting/process_typesetter.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>

#include "services/billing/typesetting/fonts.h"
#include "services/billing/typesetting/page_writer.h"
#include "services/billing/typesetting/sheet_json.h"

namespace allod::billing::typesetting::process_typesetter_test {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string Program() { return std::string(std::getenv("ALLOD_BUILD_DIR")) + "/bin/allod-invoice"; }

Sheet ASheet() {
  Sheet out;
  out.language = "ar";
  out.is_right_to_left = true;
  out.title = "فاتورة";
  out.number = "KE/000042";
  out.created = "2026-11-02T01:00:00Z";
  out.columns = {{"الوصف", false}, {"المبلغ", true}};
  out.rows = {{{{"رموز الإدخال 2026-10", {}}, {"1.00", {}}}, "1.00"}};
  out.page_of = "{page}/{pages}";
  return out;
}

TEST(ProcessTypesetter, MakesWhatTheLibraryMakes) {
  ProcessTypesetter typesetter(Launcher::Start(Program(), ProcessTypesetter::Limits()).value());
  const auto made = typesetter.Typeset(ASheet());
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_THAT(*made, StartsWith("%PDF-1.5"));
  EXPECT_EQ(*made, WritePdf(ASheet(), kFontDirectory).value());
}

TEST(ProcessTypesetter, PassesOnWhatIsMissing) {
  ProcessTypesetter typesetter(Launcher::Start(Program(), ProcessTypesetter::Limits()).value());
  Sheet sheet = ASheet();
  sheet.issuer = "\uE123";
  const auto refused = typesetter.Typeset(sheet);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(refused.error().reason, "MISSING_GLYPH");
  EXPECT_THAT(refused.error().message, HasSubstr("U+E123"));
  EXPECT_TRUE(typesetter.Typeset(ASheet()).has_value());
}

TEST(ProcessTypesetter, ItsEndsAreErrors) {
  ProcessTypesetter none(std::nullopt);
  EXPECT_EQ(none.Typeset(ASheet()).error().reason, "PDF_NOT_CONFIGURED");
  ProcessTypesetter failing(Launcher::Start("/bin/false", ProcessTypesetter::Limits()).value());
  EXPECT_EQ(failing.Typeset(ASheet()).error().reason, "TYPESETTING_FAILED");
  ProcessTypesetter late(Launcher::Start(Program(), {.time = std::chrono::milliseconds(1)}).value());
  EXPECT_EQ(late.Typeset(ASheet()).error().reason, "TYPESETTING_TOO_LONG");
  ProcessTypesetter small(Launcher::Start(Program(), {.output_bytes_max = 256}).value());
  EXPECT_EQ(small.Typeset(ASheet()).error().reason, "TYPESETTING_FAILED");
}

// It is confined before it reads: seccomp is in force while it waits for a pipe that nobody writes to.
TEST(ProcessTypesetter, TheProgramIsConfinedBeforeItReads) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const std::string program = Program();
  const pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[0], STDIN_FILENO);
    execl(program.c_str(), program.c_str(), nullptr);
    _exit(127);
  }
  const auto is_confined = [&] {
    std::ifstream status(fmt::format("/proc/{}/status", pid));
    const std::string text{std::istreambuf_iterator<char>(status), {}};
    return text.find("Seccomp:\t2") != std::string::npos && text.find("NoNewPrivs:\t1") != std::string::npos &&
           text.find("allod-invoice") != std::string::npos;
  };
  bool confined = false;
  for (int i = 0; i < 1000 && !(confined = is_confined()); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(confined);
  close(ends[1]);
  close(ends[0]);
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WEXITSTATUS(status), 3) << "no input is no sheet";
}

TEST(ProcessTypesetter, TheProgramDoubtsItsInput) {
  const Launcher launcher = Launcher::Start(Program(), ProcessTypesetter::Limits()).value();
  for (const std::string& input : {std::string(), std::string("{}"), std::string(1 << 20, '['), std::string("\xff")}) {
    const auto result = launcher.Run(input).value();
    EXPECT_EQ(result.end, (ProcessEnd{.status = 3}));
    EXPECT_EQ(result.output, "");
    EXPECT_THAT(result.error, StartsWith("INVALID_SHEET: "));
  }
}

}  // namespace
}  // namespace allod::billing::typesetting::process_typesetter_test
