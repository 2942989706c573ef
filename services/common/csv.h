// Rows of a CSV by RFC 4180. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace allod {

// A field: quoted where needed. What a spreadsheet would take for a formula gets an apostrophe before it.
std::string InCsv(std::string_view text);

class CsvRows {
 public:
  void Add(std::string_view text) { Field(InCsv(text)); }
  void AddNumber(std::string_view number) { Field(number); }  // made here, never typed
  void End() {
    out_ += "\r\n";
    is_first_ = true;
  }
  std::string Take() { return std::exchange(out_, {}); }

 private:
  void Field(std::string_view field) {
    if (!is_first_) out_ += ',';
    out_ += field;
    is_first_ = false;
  }
  std::string out_;
  bool is_first_ = true;
};

}  // namespace allod
