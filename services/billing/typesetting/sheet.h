// A document for people as a typesetter sees it: texts and where they belong, with everything computed and worded
// already. Of what it is about (an invoice, a statement) a typesetter knows nothing, and it computes nothing.
//
// All text is UTF-8 and literal, none is markup. "Start" is the left of a page that is read from left to right and the
// right of one that is read from right to left.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace allod::billing::typesetting {

// Beyond these a sheet is refused, by who writes it and by who reads it.
inline constexpr std::size_t kRowsMax = 20'000;
inline constexpr std::size_t kColumnsMax = 8;
inline constexpr std::size_t kListMax = 64;  // of facts, blocks, lines of a block, totals, notes
inline constexpr std::size_t kTextBytesMax = 8'192;
inline constexpr std::size_t kSheetBytesMax = 32 << 20;

struct Fact {
  std::string name;
  std::string value;
  bool operator==(const Fact&) const = default;
};

// A heading and lines below it: a party.
struct Block {
  std::string title;
  std::vector<std::string> lines;
  bool operator==(const Block&) const = default;
};

// One column that is not of numbers takes the width that the others leave.
struct Column {
  std::string title;
  bool is_number = false;  // at the end of the cell, on one line, read from left to right
  bool operator==(const Column&) const = default;
};

struct Cell {
  std::string text;
  std::vector<std::string> small;  // lines below it
  bool operator==(const Cell&) const = default;
};

struct Row {
  std::vector<Cell> cells;  // one for each column
  std::string running;      // what the last column adds up to, this row included
  bool operator==(const Row&) const = default;
};

struct Total {
  std::string name;
  std::string value;
  bool is_due = false;  // the one that counts
  bool operator==(const Total&) const = default;
};

struct Sheet {
  std::string language;  // BCP 47
  bool is_right_to_left = false;
  std::string title;
  std::string number;
  std::string issuer;   // in the head of the pages after the first
  std::string created;  // YYYY-MM-DDThh:mm:ssZ, the file's date
  std::vector<Fact> facts;
  std::vector<Block> blocks;
  std::vector<Column> columns;
  std::vector<Row> rows;
  std::vector<Total> totals;
  std::vector<Block> notes;
  std::string carried_forward;  // words of the sums between two pages
  std::string brought_forward;
  std::string page_of;  // with {page} and {pages}
  bool operator==(const Sheet&) const = default;
};

}  // namespace allod::billing::typesetting
