// What a board serves as plain files at a path that stays: a program, and beside it what fills its holes.
//
// As edge_runtime/plain.py: `model` leads to `adapted/DIGEST/STATE`, which holds the release's own program and manifest,
// and `holes.ptd`, which stock ExecuTorch loads with the program (one without holes has none).
#pragma once

#include <string>

#include "served.hpp"

namespace edge {

// The state of a release on top of which nothing was learned, and how many digits of a SHA-256 name another.
inline constexpr char kInstalled[] = "installed";
inline constexpr std::size_t kStateLength = 16;

// The name of the state that a file of what was learned holds; "": nothing was.
std::string state_of(const std::string& learned);

// The folder of the state that the file `learned` holds ("": as installed), whole or not at all. "" for a release of
// before, which does not say how such a file is laid out. Throws Failure.
std::string write_plain(const Served& served, const std::string& learned);

// Let `model` lead to that state if that release is served; where it cannot be, `model` goes, and the journal
// says why. Throws nothing.
void lead_to(Served served);

// Lead `model` to what is served where a power cut left it elsewhere, or leading to nothing, if this user may. Throws
// nothing.
void mend_lead(const std::string& root);

// Remove states that nothing goes back to, and what writers that died left.
void sweep(const Served& served);

void sync_folder(const std::string& path);

}  // namespace edge
