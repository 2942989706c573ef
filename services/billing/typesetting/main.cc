// allod-invoice: reads one sheet (sheet_json.h) on standard input and writes its PDF to standard output.
//
// billing starts it for each document (services/common/process/launcher.h), so that what sets other people's texts,
// with Pango and Cairo and their libraries, is in no service. Before it reads, it gives up all but the fonts: no other
// file, no socket, no program, no memory and time without end; where the kernel refuses that, it sets nothing.
//
// Exit status: 0; 1 something of its own failed; 2 usage; 3 the document cannot be set as it is. With 1 and 3 standard
// error has one line: the reason, ": ", and what to do. With 0 it has one where files but the fonts could have been
// read.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <string>

#include "services/billing/typesetting/confine.h"
#include "services/billing/typesetting/fonts.h"
#include "services/billing/typesetting/page_writer.h"
#include "services/billing/typesetting/sheet_json.h"

namespace allod::billing::typesetting {
namespace {

Result<std::string> ReadInput() {
  std::string out;
  char buffer[1 << 16];
  while (true) {
    const ssize_t n = read(STDIN_FILENO, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Internal("standard input cannot be read");
    if (n == 0) return out;
    out.append(buffer, static_cast<std::size_t>(n));
    if (out.size() > kSheetBytesMax) return InvalidArgument("INVALID_SHEET", "sheet: is too long");
  }
}

Status WriteOutput(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Internal("standard output cannot be written");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Status Run(const std::string& fonts) {
  ALLOD_TRY(const Confinement confinement, Confine(fonts));
  ALLOD_TRY(const std::string input, ReadInput());
  ALLOD_TRY(const Sheet sheet, ParseSheet(input));
  ALLOD_TRY(const std::string pdf, WritePdf(sheet, fonts));
  ALLOD_CHECK_OK(WriteOutput(pdf));
  if (!confinement.has_landlock)
    std::fputs(fmt::format("{}: this kernel has no Landlock\n", kNoLandlock).c_str(), stderr);
  return {};
}

}  // namespace
}  // namespace allod::billing::typesetting

int main(int argc, char** argv) {
  namespace typesetting = allod::billing::typesetting;
  CLI::App app("Sets one document as PDF: a sheet on standard input, the PDF on standard output", "allod-invoice");
  std::string fonts = typesetting::kFontDirectory;
  app.add_option("--fonts", fonts, fmt::format("Directory of the fonts (default: {})", fonts));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  const auto done = typesetting::Run(fonts);
  if (done) return 0;
  std::fputs(fmt::format("{}: {}\n", done.error().reason, done.error().message).c_str(), stderr);
  return done.error().code == allod::Code::kInternal ? 1 : 3;
}
