# embed_text(FILE SYMBOL OUTPUT): a C source with a text file as `const char SYMBOL[]`, made when the build is configured
# and again when the file changes.
function(embed_text file symbol output)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1, " bytes "${hex}")
  string(REGEX REPLACE "(0x.., 0x.., 0x.., 0x.., 0x.., 0x.., 0x.., 0x.., 0x.., 0x.., 0x.., 0x.., )" "\\1\n" bytes "${bytes}")
  get_filename_component(name ${file} NAME)
  file(GENERATE OUTPUT ${output} CONTENT "/* Made from ${name}. */\nextern const char ${symbol}[];\nconst char ${symbol}[] = {\n${bytes}0};\n")
endfunction()
