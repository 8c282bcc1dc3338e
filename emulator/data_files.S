/* Files of data/ that are built into the library. */
    .section .rodata
    .globl em_chips_json
    .globl em_chips_json_end
    .globl em_recorded_json
    .globl em_recorded_json_end
em_chips_json:
    .incbin "ane_chips.json"
em_chips_json_end:
    .byte 0
em_recorded_json:
    .incbin "ane_recorded.json"
em_recorded_json_end:
    .byte 0
    .section .note.GNU-stack,"",@progbits
